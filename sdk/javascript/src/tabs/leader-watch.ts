import { isVisible } from "../browser/page-events";
import type { Clock } from "../internal/timers";

const PING_MS = 10_000;
/** The leader may be busy for a while. A wrong alarm costs one reconnect and no notification. */
const MAX_UNANSWERED = 2;

export interface LeaderWatchListener {
  ping(): void;
  onSilent(): void;
}

/**
 * Notices a leader that no longer runs: browsers freeze hidden tabs, and leave them their locks. Only a visible tab
 * asks, and only its own pings count, so that the machine's sleep is no silence of the leader.
 */
export class LeaderWatch {
  #timer: unknown;
  #unanswered = 0;
  readonly #clock: Clock;
  readonly #listener: LeaderWatchListener;

  constructor(clock: Clock, listener: LeaderWatchListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  start(): void {
    this.stop();
    this.#timer = this.#clock.setTimeout(() => this.#check(), PING_MS);
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#unanswered = 0;
  }

  answered(): void {
    this.#unanswered = 0;
  }

  #check(): void {
    this.#timer = this.#clock.setTimeout(() => this.#check(), PING_MS);
    if (!isVisible()) return this.answered();
    if (this.#unanswered >= MAX_UNANSWERED) return this.#listener.onSilent();
    this.#unanswered += 1;
    this.#listener.ping();
  }
}
