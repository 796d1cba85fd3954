import type { GetIdToken } from "./types";

/** Longer than the services' own time limits, so that their answer, not ours, is what is reported. */
const DEADLINE_MS = 15_000;

export interface Http {
  fetch: typeof fetch;
  getIdToken: GetIdToken;
}

/** Nobody is signed in, or the session is over: only signing in again helps. */
export class SignedOutError extends Error {
  override name = "SignedOutError";
}

/** The service answered with an error; `message` is its own `detail` where it gave one. */
export class ServiceError extends Error {
  override name = "ServiceError";
  constructor(
    message: string,
    readonly status: number,
    readonly requestId: string | undefined,
    readonly retryAfterMs: number | undefined,
  ) {
    super(message);
  }
}

/**
 * A request with the user's id token. A 401 is met once with a fresh token, since the first may have expired
 * on the way; a second 401 means that the session is over.
 *
 * @throws SignedOutError, ServiceError; TypeError or a TimeoutError where the network failed.
 */
export async function request(http: Http, url: string, init: RequestInit = {}): Promise<Response> {
  let answer = await send(http, url, init, false);
  if (answer.status === 401) answer = await send(http, url, init, true);
  if (answer.status === 401) throw new SignedOutError("The session has expired");
  if (!answer.ok) throw await serviceError(answer);
  return answer;
}

async function send(http: Http, url: string, init: RequestInit, refresh: boolean): Promise<Response> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
  signal.throwIfAborted();
  const token = await orAborted(http.getIdToken({ refresh }), signal);
  if (token === null) throw new SignedOutError("Nobody is signed in");
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${token}`);
  return http.fetch(url, { ...init, headers, signal, cache: "no-store", credentials: "omit" });
}

/** A refresh of the id token asks the network, too, and its library may wait for ever. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
  return Promise.race([promise, aborted]);
}

async function serviceError(answer: Response): Promise<ServiceError> {
  const body = (await answer.json().catch(() => null)) as { detail?: unknown; requestId?: unknown } | null;
  const detail = typeof body?.detail === "string" ? body.detail : `The service answered ${answer.status}`;
  const requestId = typeof body?.requestId === "string" ? body.requestId : undefined;
  return new ServiceError(detail, answer.status, requestId, retryAfterMs(answer.headers));
}

/** A day: a mistake in a header stops nothing for ever, and timers take no more than 24 days. */
const MAX_RETRY_AFTER_MS = 86_400_000;

/** Reads Retry-After given in seconds or as a date. Undefined where there is none. */
export function retryAfterMs(headers: Headers, now = Date.now()): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms));
}
