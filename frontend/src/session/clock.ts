import { ref, type Ref } from "vue";
import { isVisible } from "../platform/page-events";

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;

/** The one clock of all that is shown, in epoch milliseconds. It does not change while the page is hidden. */
export interface Clock {
  /** Changes each second: for what is recent or counts down. */
  second: Ref<number>;
  /** Changes each minute: for the rest, of which there may be a thousand rows. */
  minute: Ref<number>;
}

export function startClock(signal: AbortSignal): Clock {
  const clock = { second: ref(Date.now()), minute: ref(Date.now()) };
  const tick = (): void => {
    if (!isVisible()) return;
    clock.second.value = Date.now();
    if (clock.second.value - clock.minute.value >= MINUTE_MS) clock.minute.value = clock.second.value;
  };
  const timer = setInterval(tick, SECOND_MS);
  document.addEventListener("visibilitychange", tick, { signal });
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
  return clock;
}

/** Now, as exactly as a time needs it that is shown in seconds for its first minute. */
export function nowFor(clock: Clock, epochMs: number): number {
  const isOld = clock.minute.value - epochMs > MINUTE_MS;
  return isOld ? clock.minute.value : clock.second.value;
}
