import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [vue()],
  test: { include: ["{sdk/javascript,frontend}/src/**/*.test.ts"], environment: "node", testTimeout: 5_000 },
});
