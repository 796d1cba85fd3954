/**
 * A deploy removes the files of the previous version of the application, so that a tab can no longer load what it has
 * not loaded yet.
 */
const KEY = "notification-api-reloaded-at";
/** While servers of both versions answer, a page might reload again and again. */
const MIN_INTERVAL_MS = 60_000;

/** Reloads the page where a file cannot be loaded and there is a newer version of the application. */
export function reloadAfterDeploy(): void {
  addEventListener("vite:preloadError", () => {
    reloadIfNewer().catch(() => undefined); // the server cannot be reached: this version stays loaded
  });
}

async function reloadIfNewer(): Promise<void> {
  if (Date.now() - Number(sessionStorage.getItem(KEY)) < MIN_INTERVAL_MS || !(await isNewer())) return;
  sessionStorage.setItem(KEY, String(Date.now()));
  location.reload();
}

async function isNewer(): Promise<boolean> {
  const entry = document.querySelector("script[type=module][src]")?.getAttribute("src");
  const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  return answer.ok && typeof entry === "string" && !(await answer.text()).includes(entry);
}
