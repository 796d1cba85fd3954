import prettier from "eslint-config-prettier";
import vue from "eslint-plugin-vue";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "node_modules/"] },
  tseslint.configs.recommended,
  vue.configs["flat/recommended"],
  { languageOptions: { parserOptions: { parser: tseslint.parser } } },
  {
    rules: {
      complexity: ["error", 10],
      "no-console": ["error", { allow: ["error"] }],
      "vue/no-v-html": "error",
      "max-lines-per-function": ["error", { max: 50, skipComments: true }],
    },
  },
  { files: ["build/*.mjs"], rules: { "no-console": "off" } },
  { files: ["**/*.test.ts"], rules: { "max-lines-per-function": "off" } },
  prettier,
);
