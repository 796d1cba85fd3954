export interface PageListener {
  onNetwork(online: boolean): void;
  onVisible(): void;
  /** The page is being unloaded. */
  onLeave(): void;
}

export function isVisible(): boolean {
  return document.visibilityState === "visible";
}

/** Reports the browser's events until `signal` aborts. */
export function watchPage(signal: AbortSignal, listener: PageListener): void {
  const onNetwork = (): void => listener.onNetwork(navigator.onLine);
  const onVisible = (): void => {
    if (isVisible()) listener.onVisible();
  };
  addEventListener("online", onNetwork, { signal });
  addEventListener("offline", onNetwork, { signal });
  addEventListener("focus", onVisible, { signal });
  document.addEventListener("visibilitychange", onVisible, { signal });
  addEventListener("pagehide", () => listener.onLeave(), { signal });
}
