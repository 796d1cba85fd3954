export function isVisible(): boolean {
  return document.visibilityState === "visible";
}

/** Above this the top of the list is not on screen. */
const TOP_PX = 120;

/** Calls `onReached` whenever the page has been visible and scrolled to its top for `ms`; `onLeft` when that ends. */
export function watchTop(signal: AbortSignal, ms: number, onReached: () => void, onLeft: () => void): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const update = (): void => {
    if (isVisible() && scrollY < TOP_PX) {
      timer ??= setTimeout(onReached, ms);
      return;
    }
    clearTimeout(timer);
    timer = undefined;
    onLeft();
  };
  document.addEventListener("visibilitychange", update, { signal });
  addEventListener("scroll", update, { signal, passive: true });
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  update();
}
