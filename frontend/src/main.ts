import { createApp } from "vue";
import { reloadAfterDeploy } from "./platform/reload-after-deploy";
import App from "./App.vue";
import "./styles/base.css";

// A page from the browser's back/forward cache has closed its stream.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

reloadAfterDeploy();
createApp(App).mount("#app");
