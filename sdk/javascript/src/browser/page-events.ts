/** The events of a page. Where there is no page, as on a server, nothing is ever reported, and it counts as visible. */
export interface PageListener {
  onNetwork(online: boolean): void;
  onVisible(): void;
  /** The page is left. It may be shown again later, from the back/forward cache. */
  onHide(): void;
  /** The page is shown again. */
  onRestored(): void;
}

export function isVisible(): boolean {
  const { document } = globalThis as Partial<typeof globalThis>;
  return document === undefined || document.visibilityState === "visible";
}

/** False where the browser is sure that there is no network. */
export function isOnline(): boolean {
  return (globalThis as Partial<typeof globalThis>).navigator?.onLine ?? true;
}

/** Reports the browser's events until `signal` aborts. */
export function watchPage(signal: AbortSignal, listener: PageListener): void {
  if (!("document" in globalThis)) return;
  const onNetwork = (): void => listener.onNetwork(isOnline());
  const onVisible = (): void => {
    if (isVisible()) listener.onVisible();
  };
  addEventListener("online", onNetwork, { signal });
  addEventListener("offline", onNetwork, { signal });
  addEventListener("focus", onVisible, { signal });
  document.addEventListener("visibilitychange", onVisible, { signal });
  addEventListener("pagehide", () => listener.onHide(), { signal });
  addEventListener("pageshow", ({ persisted }) => persisted && listener.onRestored(), { signal });
}
