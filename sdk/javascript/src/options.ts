import type { GetIdToken } from "./api/http";
import type { Timing } from "./connection/options";
import type { Clock } from "./internal/timers";
import type { OpenStream } from "./transport/stream";

/** The part of Web Storage that is used: `localStorage`, or anything that behaves like it. */
export type WebStorage = Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;

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
  /** How streams are opened. Default: the Momento SDK. */
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
