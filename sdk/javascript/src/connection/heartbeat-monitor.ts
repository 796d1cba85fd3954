import type { Clock } from "../internal/timers";

export interface HeartbeatPolicy {
  /** The timeout until the interval between two heartbeats is known. */
  initialMs: number;
  minMs: number;
  maxMs: number;
}

/** The timeout, in heartbeat intervals. */
const MISSED_HEARTBEATS = 3;

/**
 * Detects a stream that has died without an error. The service does not say how often it sends heartbeats, so the
 * interval is measured; the timeout is three times that. A false alarm costs one reconnect and no notification.
 */
export class HeartbeatMonitor {
  #timer: unknown;
  #lastActivity = 0;
  #lastHeartbeat = 0;
  #interval = 0;
  readonly #clock: Clock;
  readonly #policy: HeartbeatPolicy;
  readonly #onTimeout: () => void;

  constructor(clock: Clock, policy: HeartbeatPolicy, onTimeout: () => void) {
    this.#clock = clock;
    this.#policy = policy;
    this.#onTimeout = onTimeout;
  }

  get timeoutMs(): number {
    if (this.#interval === 0) return this.#policy.initialMs;
    return Math.min(this.#policy.maxMs, Math.max(this.#policy.minMs, this.#interval * MISSED_HEARTBEATS));
  }

  /** A stream has opened. The interval since the last heartbeat of another stream is not measured. */
  start(): void {
    this.#lastHeartbeat = this.#clock.now();
    this.activity();
  }

  stop(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  heartbeat(): void {
    const now = this.#clock.now();
    // The first heartbeat follows the opening at once, so the longest interval is the one to trust.
    this.#interval = Math.max(this.#interval, now - this.#lastHeartbeat);
    this.#lastHeartbeat = now;
    this.stop();
    this.activity();
  }

  /** Any message shows that the stream works. A running timer is not restarted, as items may be frequent. */
  activity(): void {
    this.#lastActivity = this.#clock.now();
    this.#timer ??= this.#clock.setTimeout(this.#check, this.timeoutMs);
  }

  /** Checks at once, for a page that wakes from sleep with its timers late. */
  check(): void {
    if (this.#timer !== undefined) this.#check();
  }

  readonly #check = (): void => {
    this.stop();
    const remaining = this.#lastActivity + this.timeoutMs - this.#clock.now();
    if (remaining <= 0) this.#onTimeout();
    else this.#timer = this.#clock.setTimeout(this.#check, remaining);
  };
}
