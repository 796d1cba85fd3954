import type { TokenService } from "../api/token-service";
import type { BackoffPolicy } from "../internal/backoff";
import { EMPTY_VALUE, type StoredValue } from "../internal/key-value-store";
import { SYSTEM_CLOCK, type Clock } from "../internal/timers";
import { openStream } from "../transport/open-stream";
import type { OpenStream } from "../transport/stream";
import type { HeartbeatPolicy } from "./heartbeat-monitor";

export interface ConnectionOptions {
  service: TokenService;
  /** Where the keys of emitted notifications survive page loads. Without it each page load starts with none. */
  storage?: StoredValue;
  /** Whether this task was sent from this browser and has not ended: its final notification is never `history`. */
  isAwaited?: (taskId: string) => boolean;
  openStream?: OpenStream;
  clock?: Clock;
  /** Returns a number in [0, 1). */
  random?: () => number;
  timing?: Partial<Timing>;
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

const DEFAULT_TIMING: Timing = {
  openTimeoutMs: 10_000,
  retry: { baseMs: 1_000, capMs: 15_000 },
  heartbeat: { initialMs: 45_000, minMs: 5_000, maxMs: 90_000 },
  recheckMs: [15_000, 60_000, 300_000],
  renewAt: 0.45,
  minRenewMs: 2_000,
};

export type Settings = Required<Omit<ConnectionOptions, "timing">> & { timing: Timing };

export function withDefaults(options: ConnectionOptions): Settings {
  return {
    storage: EMPTY_VALUE,
    isAwaited: () => false,
    openStream,
    clock: SYSTEM_CLOCK,
    random: Math.random,
    ...options,
    timing: { ...DEFAULT_TIMING, ...options.timing },
  };
}
