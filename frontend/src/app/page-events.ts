/** What happens to the page from outside. */
export interface PageListener {
  network(online: boolean): void;
  /** A person looks at the page. */
  seen(): void;
  left(): void;
}

/** Until `signal` aborts. */
export function watchPage(signal: AbortSignal, listener: PageListener): void {
  const network = (): void => listener.network(navigator.onLine);
  const seen = (): void => {
    if (document.visibilityState === "visible") listener.seen();
  };
  addEventListener("online", network, { signal });
  addEventListener("offline", network, { signal });
  addEventListener("focus", seen, { signal });
  document.addEventListener("visibilitychange", seen, { signal });
  addEventListener("pagehide", () => listener.left(), { signal });
}
