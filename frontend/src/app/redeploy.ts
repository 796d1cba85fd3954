/**
 * A deploy takes away the files of the page before it: what a tab has not loaded by then, it cannot load any more.
 */
const KEY = "notification-api-reloaded-at";
/** While servers of both versions answer, reloading might go on and on. */
const PAUSE_MS = 60_000;

/** Loads, while nothing else is to be done, what a tab needs once it leads. */
export function loadAhead(): void {
  // Where it fails, the client says so when it needs it.
  const load = (): void => void import("@gomomento/sdk-web").catch(() => undefined);
  if ("requestIdleCallback" in globalThis) requestIdleCallback(load);
  else setTimeout(load, 1_000);
}

/** Where a file cannot be loaded and there is a newer page than this one, goes on with that. */
export function reloadAfterDeploy(): void {
  addEventListener("vite:preloadError", () => {
    reloadIfNewer().catch(() => undefined); // out of reach: this page is all there is
  });
}

async function reloadIfNewer(): Promise<void> {
  if (Date.now() - Number(sessionStorage.getItem(KEY)) < PAUSE_MS || !(await isNewer())) return;
  sessionStorage.setItem(KEY, String(Date.now()));
  location.reload();
}

async function isNewer(): Promise<boolean> {
  const entry = document.querySelector("script[type=module][src]")?.getAttribute("src");
  const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  return answer.ok && typeof entry === "string" && !(await answer.text()).includes(entry);
}
