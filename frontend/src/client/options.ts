import type { BackoffPolicy } from "./backoff";
import { openMomentoStream } from "./momento";
import type { OpenStream } from "./stream";
import type { Clock, GetIdToken, Memory } from "./types";
import type { WatchdogPolicy } from "./watchdog";

export interface ClientOptions {
  /** `GET /token` of the token service. */
  tokenUrl: string;
  /** `GET /notifications`; by default beside the token route. */
  notificationsUrl?: string;
  getIdToken: GetIdToken;
  /** Where what was told is remembered from one page load to the next; by default nowhere. */
  memory?: Memory;
  /** Whether this task was sent from here and has not ended yet: how it ends is never `history`. */
  isAwaited?: (taskId: string) => boolean;
  openStream?: OpenStream;
  clock?: Clock;
  fetch?: typeof fetch;
  /** In [0, 1). */
  random?: () => number;
  timing?: Partial<Timing>;
}

export interface Timing {
  /** How long a stream may take to its first message. */
  openMs: number;
  retry: BackoffPolicy;
  watchdog: WatchdogPolicy;
  /**
   * After an absence, catch-up asks again after each of these: what was published meanwhile may be stored later
   * than the first answer.
   */
  recheckMs: number[];
  /** A token is renewed when this share of its life is over. Below one half, as it may be shared. */
  renewAt: number;
  /** However short a token's life, or wrong this clock: not more often than this. */
  minRenewMs: number;
  /** A browser keeps all that one stream ever sent: after so many characters it takes a new one. */
  maxStreamCharacters: number;
}

export const DEFAULT_TIMING: Timing = {
  openMs: 10_000,
  retry: { baseMs: 1_000, capMs: 15_000 },
  watchdog: { initialMs: 45_000, minMs: 5_000, maxMs: 90_000 },
  recheckMs: [15_000, 60_000, 300_000],
  renewAt: 0.45,
  minRenewMs: 2_000,
  maxStreamCharacters: 4_000_000,
};

export type Settings = Required<Omit<ClientOptions, "timing">> & { timing: Timing };

const forgetful: Memory = { load: () => null, save: () => undefined, clear: () => undefined };

const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => globalThis.setTimeout(callback, ms),
  clearTimeout: (handle) => globalThis.clearTimeout(handle as ReturnType<typeof setTimeout>),
};

export function withDefaults(options: ClientOptions): Settings {
  return {
    notificationsUrl: new URL("notifications", options.tokenUrl).href,
    memory: forgetful,
    isAwaited: () => false,
    openStream: openMomentoStream,
    clock: systemClock,
    fetch: (input, init) => globalThis.fetch(input, init),
    random: Math.random,
    ...options,
    timing: { ...DEFAULT_TIMING, ...options.timing },
  };
}
