import { fileURLToPath } from "node:url";
import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";
import { compression, defineAlgorithm } from "vite-plugin-compression2";

/** A `.br` and a `.gz` beside each file, from which a server picks one. */
const compressed = compression({
  include: /\.(js|css|html|svg)$/,
  algorithms: ["brotliCompress", defineAlgorithm("gzip", { level: 9 })],
  skipIfLargerOrEqual: false,
  logLevel: "silent",
});

/** The sources of notification-api-client, so that it needs no build. `paths` in tsconfig.base.json says the same. */
const PACKAGE_SOURCES = {
  find: /^notification-api-client(\/\w+)?$/,
  replacement: fileURLToPath(new URL("../sdk/javascript/src$1/index.ts", import.meta.url)),
};

export default defineConfig({
  plugins: [vue(), compressed],
  resolve: { alias: [PACKAGE_SOURCES] },
  build: {
    target: ["chrome123", "firefox125", "safari17.5"], // light-dark() in the style sheet, the popover attribute
    // Inlined files would need data: in the page's Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: true,
    chunkSizeWarningLimit: 1_600, // the Momento SDK; size-limit in package.json holds the limits
    rolldownOptions: {
      // eval: in google-protobuf, never called; the page's policy forbids it anyway.
      checks: { eval: false, pluginTimings: false },
      output: {
        chunkFileNames: ({ name, facadeModuleId }) =>
          `assets/${facadeModuleId?.includes("/@gomomento/") ? "momento" : name}-[hash].js`,
      },
    },
  },
});
