import { createApp } from "vue";
import { reloadAfterDeploy } from "./app/redeploy";
import App from "./components/App.vue";
import "./styles/base.css";

// A page from the browser's back/forward cache has closed its stream: it starts anew.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

reloadAfterDeploy();
createApp(App).mount("#app");
