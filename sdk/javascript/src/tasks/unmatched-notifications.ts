import type { Clock } from "../internal/timers";
import { hasTaskId, type TaskChange, type TaskStore } from "./task-store";

type Notified = Extract<TaskChange, { type: "notified" }>;

/** Longer than an answer takes to reach this tab, and too short for a user to miss the entry. */
const MAX_WAIT_MS = 1_500;

/**
 * A notification may arrive before the answer that says which task it belongs to. While any tab is sending tasks, a
 * notification of an unknown task waits a moment for that answer; otherwise the task would be listed twice until then.
 */
export class UnmatchedNotifications {
  #waiting: Notified[] = [];
  #timer: unknown;
  readonly #store: TaskStore;
  readonly #apply: (change: Notified) => void;
  readonly #clock: Clock;

  constructor(store: TaskStore, clock: Clock, apply: (change: Notified) => void) {
    this.#store = store;
    this.#clock = clock;
    this.#apply = apply;
  }

  add(change: Notified): void {
    if (hasTaskId(this.#store, change.notification.taskId) || !this.#isSending()) return this.#apply(change);
    this.#waiting.push(change);
    this.#timer ??= this.#clock.setTimeout(() => this.#release(() => true), MAX_WAIT_MS);
  }

  /** The task has become known. */
  accepted(taskId: string): void {
    if (this.#waiting.length > 0) this.#release(({ notification }) => notification.taskId === taskId);
  }

  /** Applies what is waiting: it counts as emitted, and would not come again. */
  close(): void {
    this.#release(() => true);
  }

  #isSending(): boolean {
    for (const task of this.#store.values()) if (task.state === "pending") return true;
    return false;
  }

  #release(matches: (change: Notified) => boolean): void {
    const released = this.#waiting.filter(matches);
    this.#waiting = this.#waiting.filter((change) => !matches(change));
    if (this.#waiting.length === 0) {
      this.#clock.clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    for (const change of released) this.#apply(change);
  }
}
