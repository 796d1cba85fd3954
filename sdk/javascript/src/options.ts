import type { GetIdToken } from "./api/http";
import type { WebStorage } from "./browser/user-storage";
import { DEFAULT_TIMING, type Timing } from "./connection/options";
import { SYSTEM_CLOCK, type Clock } from "./internal/timers";
import { openStream } from "./transport/open-stream";
import type { OpenStream } from "./transport/stream";

export interface NotificationApiOptions {
  /** Base URL of the API: absolute, or relative to the page ("/", "/api"). */
  url: string;
  /** The user's id token; `refresh: true` asks for a newer one than the one refused. Null: nobody is signed in. */
  getIdToken: GetIdToken;
  /** Namespace of what is stored and of the tabs' connection. Default: the `sub` of the first id token. */
  userId?: string;
  /** Where tasks and read notifications survive page loads; null: nowhere. Default: `localStorage`, where it exists. */
  storage?: WebStorage | null;
  /** Whether the tabs of a user share one stream. Default: true, where Web Locks and BroadcastChannel exist. */
  shareConnection?: boolean;
  /** How streams are opened. Default: fetch, and the Momento SDK where that cannot reach Momento. */
  openStream?: OpenStream;
  /** Default: the global `fetch`. */
  fetch?: typeof fetch;
  /** For tests. */
  clock?: Clock;
  /** For tests: returns a number in [0, 1). */
  random?: () => number;
  /** For tests: timeouts and backoff. */
  timing?: Partial<Timing>;
}

type Defaulted = "shareConnection" | "openStream" | "fetch" | "clock" | "random";

export interface ResolvedOptions
  extends Omit<NotificationApiOptions, Defaulted | "timing">, Required<Pick<NotificationApiOptions, Defaulted>> {
  timing: Timing;
}

export function withDefaults(options: NotificationApiOptions): ResolvedOptions {
  return {
    shareConnection: true,
    fetch: (input, init) => globalThis.fetch(input, init),
    clock: SYSTEM_CLOCK,
    random: Math.random,
    ...options,
    openStream: options.openStream ?? openStream,
    timing: { ...DEFAULT_TIMING, ...options.timing },
  };
}
