import { createApp } from "vue";
import { reloadAfterDeploy } from "./platform/reload-after-deploy";
import App from "./App.vue";
import "./styles/base.css";

reloadAfterDeploy();
createApp(App).mount("#app");
