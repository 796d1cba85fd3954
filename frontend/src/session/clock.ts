import { ref, type Ref } from "vue";
import { isVisible } from "../platform/page-events";

const TICK_MS = 1_000;

/** The one clock of all that is shown: epoch milliseconds, once a second while the page is visible. */
export function startClock(signal: AbortSignal): Ref<number> {
  const now = ref(Date.now());
  const tick = (): void => {
    if (isVisible()) now.value = Date.now();
  };
  const timer = setInterval(tick, TICK_MS);
  document.addEventListener("visibilitychange", tick, { signal });
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  return now;
}
