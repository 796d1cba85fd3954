import { ServiceError, SignedOutError } from "./errors";
import { parseRetryAfterMs } from "./retry-after";

/** Longer than the services' own timeouts, so that the caller sees the service's answer and not this timeout. */
const TIMEOUT_MS = 15_000;

/** `refresh` asks for a newer token than the one that was refused. Null: nobody is signed in. */
export type GetIdToken = (options: { refresh: boolean }) => Promise<string | null>;

export interface Http {
  fetch: typeof fetch;
  getIdToken: GetIdToken;
}

/**
 * Sends a request with the user's id token. After a 401 it is sent once more with a refreshed token, since the
 * first one may have expired on the way. A second 401 means that the session has expired.
 *
 * @throws SignedOutError, ServiceError; TypeError or a TimeoutError where the network failed.
 */
export async function request(http: Http, url: string, init: RequestInit = {}): Promise<Response> {
  let answer = await send(http, url, init, false);
  if (answer.status === 401) answer = await send(http, url, init, true);
  if (answer.status === 401) throw new SignedOutError("The session has expired");
  if (!answer.ok) throw await toServiceError(answer);
  return answer;
}

async function send(http: Http, url: string, init: RequestInit, refresh: boolean): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  signal.throwIfAborted();
  const token = await rejectOnAbort(http.getIdToken({ refresh }), signal);
  if (token === null) throw new SignedOutError("Nobody is signed in");
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${token}`);
  return http.fetch(url, { ...init, headers, signal, cache: "no-store", credentials: "omit" });
}

/** Refreshing the id token is a network request too, and the auth library may have no timeout. */
async function rejectOnAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
  return Promise.race([promise, aborted]);
}

async function toServiceError(answer: Response): Promise<ServiceError> {
  const body = (await answer.json().catch(() => null)) as { detail?: unknown; requestId?: unknown } | null;
  const detail = typeof body?.detail === "string" ? body.detail : `The service answered ${answer.status}`;
  const requestId = typeof body?.requestId === "string" ? body.requestId : undefined;
  return new ServiceError(detail, answer.status);
}
