import prettier from "eslint-config-prettier";
import vue from "eslint-plugin-vue";
import tseslint from "typescript-eslint";

/** Which other folders of the same `src/` each folder may import from. */
const SDK = {
  internal: [],
  notifications: ["internal"],
  api: ["internal", "notifications"],
  transport: ["api"],
  connection: ["internal", "notifications", "api", "transport"],
  tasks: ["internal", "notifications", "api"],
  browser: ["internal"],
  tabs: ["internal", "browser", "notifications", "api", "connection", "tasks"],
  session: ["internal", "browser", "notifications", "api", "transport", "connection", "tasks", "tabs"],
  react: ["internal"],
  vue: ["internal"],
};
const FRONTEND = {
  platform: [],
  text: ["platform"],
  auth: ["platform", "styles"],
  presentation: ["platform"],
  session: ["platform", "text", "auth", "presentation"],
  components: ["text", "auth", "presentation", "session"],
};

/** The application uses the package through its entries only. */
const PACKAGE_INTERNALS = [
  "**/sdk/javascript/**",
  "notification-api-client/*",
  "!notification-api-client/vue",
  "@gomomento/*",
];
/** The package knows nothing of the application, and of a framework only in the folder of its name. */
const APPLICATION = ["react", "vue", "**/frontend/**", "notification-api-client"];
const NOTIFICATION = { name: "Notification", message: "Use globalThis.Notification." };

/** One zone a folder: what it must not import. Tests may use the package's fakes. */
function zones(src, folders, others) {
  const names = Object.keys(folders);
  return names.flatMap((name) => {
    const forbidden = names.filter((other) => other !== name && !folders[name].includes(other));
    const groups = [...forbidden.map((other) => `../${other}/*`), ...others.filter((other) => other !== name)];
    return [
      { files: [`${src}/${name}/**`], rules: restrict([...groups, "../testing/*"]) },
      { files: [`${src}/${name}/**/*.test.ts`], rules: restrict(groups) },
    ];
  });
}

function restrict(group) {
  const message = "The folder may not import this: see eslint.config.js.";
  return { "no-restricted-imports": ["error", { patterns: [{ group, message }] }] };
}

export default tseslint.config(
  { ignores: ["**/dist/", "**/.size/", "site/", "**/node_modules/", ".venv*/", ".local/"] },
  tseslint.configs.recommended,
  vue.configs["flat/recommended"],
  { languageOptions: { parserOptions: { parser: tseslint.parser } } },
  {
    rules: {
      complexity: ["error", 10],
      "no-console": ["error", { allow: ["error"] }],
      "vue/no-v-html": "error",
      "max-lines-per-function": ["error", { max: 50, skipComments: true }],
      // The package's type of this name hides the DOM's.
      "no-restricted-globals": ["error", NOTIFICATION],
    },
  },
  { files: ["**/*.test.ts"], rules: { "max-lines-per-function": "off" } },
  ...zones("sdk/javascript/src", SDK, APPLICATION),
  { files: ["frontend/**"], rules: restrict(PACKAGE_INTERNALS) },
  ...zones("frontend/src", FRONTEND, PACKAGE_INTERNALS),
  {
    files: ["sdk/javascript/src/**"],
    ignores: ["**/*.test.ts", "**/testing/**", "sdk/javascript/src/browser/**"],
    // It runs without a DOM; browser/ finds out whether there is one.
    rules: { "no-restricted-globals": ["error", NOTIFICATION, "document", "window", "localStorage", "sessionStorage"] },
  },
  prettier,
);
