import { defineConfig, mergeConfig } from "vitest/config";
import application from "./frontend/vite.config.ts";

export default mergeConfig(
  application,
  defineConfig({
    test: { include: ["{sdk/javascript,frontend}/src/**/*.test.ts"], environment: "node", testTimeout: 5_000 },
  }),
);
