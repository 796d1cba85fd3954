import type { Clock } from "./types";

export interface WatchdogPolicy {
  /** How long silence is borne before the usual distance of two heartbeats is known. */
  initialMs: number;
  minMs: number;
  maxMs: number;
}

/** So many missed heartbeats are no accident. */
const MISSED = 3;

/**
 * Notices a stream that has died without a word. It learns how far apart heartbeats are, since the service
 * does not say, and barks after three of them are missing. Being wrong costs one reconnect, no news.
 */
export class Watchdog {
  #timer: unknown;
  #lastSign = 0;
  #lastHeartbeat = 0;
  #interval = 0;

  constructor(
    private readonly clock: Clock,
    private readonly policy: WatchdogPolicy,
    private readonly bark: () => void,
  ) {}

  get toleranceMs(): number {
    if (this.#interval === 0) return this.policy.initialMs;
    return Math.min(this.policy.maxMs, Math.max(this.policy.minMs, this.#interval * MISSED));
  }

  /** A stream has opened: its first heartbeat says nothing of the distance to the last stream's. */
  start(): void {
    this.#lastHeartbeat = this.clock.now();
    this.sign();
  }

  stop(): void {
    this.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  heartbeat(): void {
    const now = this.clock.now();
    const interval = now - this.#lastHeartbeat;
    // The first heartbeat after opening comes at once; only the longest distance is a safe measure.
    this.#interval = Math.max(this.#interval, interval);
    this.#lastHeartbeat = now;
    this.stop();
    this.sign();
  }

  /** Any message is a sign of life. The timer stays where it is: moving it for each item is not worth it. */
  sign(): void {
    this.#lastSign = this.clock.now();
    this.#timer ??= this.clock.setTimeout(this.#look, this.toleranceMs);
  }

  /** For a page that wakes from sleep, when timers are late. */
  check(): void {
    if (this.#timer !== undefined) this.#look();
  }

  readonly #look = (): void => {
    this.stop();
    const rest = this.#lastSign + this.toleranceMs - this.clock.now();
    if (rest <= 0) this.bark();
    else this.#timer = this.clock.setTimeout(this.#look, rest);
  };
}
