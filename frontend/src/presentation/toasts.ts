import type { Notification } from "notification-api-client";
import { toast } from "vue-sonner";

/** Above this many within the window, further ones are only counted: a user cannot read fifty toasts a second. */
const MAX_IN_WINDOW = 4;
const WINDOW_MS = 3_000;
const SUMMARY_ID = "summary";
const SUMMARY_DELAY_MS = 300;
const DURATION_MS = 8_000;

/** Shows notifications as toasts. Messages are text: the library escapes them, and no markup is made here. */
export class Toasts {
  /** When the toasts of the window were shown. */
  #recent: number[] = [];
  #countInSummary = 0;
  #summaryTimer: ReturnType<typeof setTimeout> | undefined;

  show({ status, message }: Notification, now = Date.now()): void {
    this.#recent = this.#recent.filter((at) => now - at < WINDOW_MS);
    if (this.#recent.length === 0) this.#countInSummary = 0;
    if (this.#recent.length >= MAX_IN_WINDOW) return this.#summarise();
    this.#recent.push(now);
    const show = status === "failed" ? toast.error : toast.success;
    show(message, { duration: DURATION_MS, closeButton: true });
  }

  clear(): void {
    clearTimeout(this.#summaryTimer);
    toast.dismiss();
  }

  /** Updates the summary a few times a second at most. */
  #summarise(): void {
    this.#countInSummary += 1;
    this.#summaryTimer ??= setTimeout(() => {
      this.#summaryTimer = undefined;
      const text = `and ${this.#countInSummary} more: see the list`;
      toast.info(text, { id: SUMMARY_ID, duration: DURATION_MS, closeButton: true });
    }, SUMMARY_DELAY_MS);
  }
}
