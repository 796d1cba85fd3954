import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";
import { compress } from "./build/compress.ts";

export default defineConfig({
  plugins: [vue(), compress()],
  build: {
    target: ["chrome123", "firefox120", "safari17.5"], // light-dark() in the style sheet
    // Inlined files would need data: in the page's Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    manifest: true,
    chunkSizeWarningLimit: 1_600, // the Momento SDK; `npm run size` holds the budget
    rolldownOptions: {
      checks: { eval: false }, // in google-protobuf, never called; the page's policy forbids it anyway
      output: {
        chunkFileNames: ({ name, facadeModuleId }) =>
          `assets/${facadeModuleId?.includes("/@gomomento/") ? "momento" : name}-[hash].js`,
      },
    },
  },
});
