import { countedClient } from "./counted-client.js";
import { show } from "./framework.js";
import rendered from "./rendered.html?raw";

// `?hydrated&strict&started`: adopt the server's HTML; in StrictMode; where the client was started before.
const wanted = new URLSearchParams(location.search);
const { api, counts } = countedClient();

async function open() {
  if (wanted.has("started")) {
    api.start();
    await new Promise((resolve) => api.on("notification", resolve));
  }
  const root = document.querySelector("#root");
  if (wanted.has("hydrated")) root.innerHTML = rendered;
  return show(api, root, { isHydrated: wanted.has("hydrated"), isStrict: wanted.has("strict") });
}

window.test = { counts, unmount: await open() };
