import type { TokenService } from "../api/token-service";
import { RETRY, type BackoffPolicy } from "../internal/backoff";
import type { StoredValue } from "../internal/key-value-store";
import type { Clock } from "../internal/timers";
import type { OpenStream } from "../transport/stream";
import type { HeartbeatPolicy } from "./heartbeat-monitor";

/** What a connection works with. */
export interface Settings {
  service: TokenService;
  /** Where the keys of emitted notifications survive page loads. */
  storage: StoredValue;
  /** Whether this task was sent from this browser and has not ended: its final notification is never `history`. */
  isAwaited: (taskId: string) => boolean;
  openStream: OpenStream;
  clock: Clock;
  /** Returns a number in [0, 1). */
  random: () => number;
  timing: Timing;
}

export interface Timing {
  /** How long a stream may take to its first message. */
  openTimeoutMs: number;
  retry: BackoffPolicy;
  heartbeat: HeartbeatPolicy;
  /**
   * Delays after which the history is fetched again once a stream is open: what was published while disconnected may
   * be stored after the first answer.
   */
  recheckMs: number[];
  /** The share of a token's lifetime after which it is renewed. Below one half, as the token may be shared. */
  renewAt: number;
  /** The shortest time between renewals, however short the lifetime or wrong this machine's clock. */
  minRenewMs: number;
}

export const DEFAULT_TIMING: Timing = {
  openTimeoutMs: 10_000,
  retry: RETRY,
  heartbeat: { initialMs: 45_000, minMs: 5_000, maxMs: 90_000 },
  recheckMs: [15_000, 60_000, 300_000],
  renewAt: 0.45,
  minRenewMs: 2_000,
};
