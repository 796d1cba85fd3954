import { toast } from "vue-sonner";
import type { Notification } from "../client";

/** More than this many within the window are told as a number: nobody reads fifty toasts a second. */
const MAX_IN_WINDOW = 4;
const WINDOW_MS = 3_000;
const SUMMARY_ID = "summary";
const DURATION_MS = 8_000;

/** Toasts are text: the library escapes, and nothing here makes markup. */
export class Toasts {
  #recent: number[] = [];
  #summarised = 0;
  #pending: ReturnType<typeof setTimeout> | undefined;

  show({ status, message }: Notification, now = Date.now()): void {
    this.#recent = this.#recent.filter((at) => now - at < WINDOW_MS);
    if (this.#recent.length === 0) this.#summarised = 0;
    if (this.#recent.length >= MAX_IN_WINDOW) return this.#summarise();
    this.#recent.push(now);
    const show = status === "failed" ? toast.error : toast.success;
    show(message, { duration: DURATION_MS, closeButton: true });
  }

  clear(): void {
    clearTimeout(this.#pending);
    toast.dismiss();
  }

  /** Counts on, and shows the count a few times a second at most. */
  #summarise(): void {
    this.#summarised += 1;
    this.#pending ??= setTimeout(() => {
      this.#pending = undefined;
      const text = `and ${this.#summarised} more: see the list`;
      toast.info(text, { id: SUMMARY_ID, duration: DURATION_MS, closeButton: true });
    }, 300);
  }
}
