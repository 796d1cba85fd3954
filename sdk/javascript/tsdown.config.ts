import { defineConfig } from "tsdown";

export default defineConfig({
  entry: { index: "src/index.ts", react: "src/react/index.ts", vue: "src/vue/index.ts" },
  platform: "neutral",
  target: "es2022",
  dts: { oxc: true }, // fails where a declaration would need type inference over modules
  logLevel: "warn",
  copy: ["../../LICENSE"],
});
