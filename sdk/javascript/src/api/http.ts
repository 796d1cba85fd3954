import { NetworkError, NotificationError, ServiceError, SignedOutError } from "./errors";
import { parseRetryAfterMs } from "./retry-after";

/** Longer than the services' own timeouts, so that the caller sees the service's answer and not this timeout. */
export const TIMEOUT_MS = 15_000;

/** `refresh` asks for a newer token than the one that was refused. Null: nobody is signed in. */
export type GetIdToken = (options: { refresh: boolean }) => Promise<string | null>;

export interface Http {
  /** Absolute base URL of the API, ending in a slash. */
  baseUrl: string;
  fetch: typeof fetch;
  getIdToken: GetIdToken;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** The parsed JSON. */
  body: unknown;
}

/**
 * Sends a request with the user's id token. After a 401 it is sent once more with a refreshed token, since the
 * first one may have expired on the way. A second 401 means that the session has expired.
 *
 * @param path Relative to the base URL, with its query.
 * @throws NotificationError; what `init.signal` was aborted with.
 */
export async function request(http: Http, path: string, init: RequestInit = {}): Promise<Answer> {
  try {
    return await exchange(http, new URL(path, http.baseUrl).href, init);
  } catch (error) {
    if (init.signal?.aborted) throw init.signal.reason;
    throw error instanceof NotificationError ? error : new NetworkError(error);
  }
}

async function exchange(http: Http, url: string, init: RequestInit): Promise<Answer> {
  let answer = await send(http, url, init, false);
  if (answer.status === 401) answer = await send(http, url, init, true);
  if (answer.status === 401) throw new SignedOutError("The session has expired");
  const body = await readJson(answer);
  if (!answer.ok) throw toServiceError(answer, url, body);
  if (body === undefined) throw notTheApi(answer, url);
  return { status: answer.status, headers: answer.headers, body };
}

/**
 * The user's id token.
 *
 * @throws SignedOutError where there is none; NotificationError `id_token` where it cannot be had now.
 */
export async function idToken({ getIdToken }: Http, refresh: boolean, signal: AbortSignal): Promise<string> {
  const token = await rejectOnAbort(getIdToken({ refresh }), signal).catch((error: unknown) => {
    if (error instanceof SignedOutError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new NotificationError("id_token", `getIdToken failed: ${reason}`, { retryable: true, cause: error });
  });
  if (token === null) throw new SignedOutError("Nobody is signed in");
  return token;
}

async function send(http: Http, url: string, init: RequestInit, refresh: boolean): Promise<Response> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  signal.throwIfAborted();
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${await idToken(http, refresh, signal)}`);
  return http.fetch(url, { ...init, headers, signal, cache: "no-store", credentials: "omit" });
}

/** Refreshing the id token is a network request too, and the auth library may have no timeout. */
async function rejectOnAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
  return Promise.race([promise, aborted]);
}

/** Undefined where the body is not JSON. */
async function readJson(answer: Response): Promise<unknown> {
  const text = await answer.text();
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toServiceError(answer: Response, url: string, body: unknown): ServiceError {
  const { status, headers } = answer;
  // A page of another server is a wrong URL, unless a gateway says that the service is down.
  if (body === undefined && status < 500) return notTheApi(answer, url);
  const { detail, requestId, type } = (body ?? {}) as Record<string, unknown>;
  return new ServiceError(textOf(detail) ?? `The service answered ${status}`, status, {
    requestId: textOf(requestId),
    type: textOf(type),
    retryAfterMs: parseRetryAfterMs(headers),
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function notTheApi({ status, headers }: Response, url: string): ServiceError {
  const contentType = headers.get("content-type") ?? "no content type";
  const message = `${url} is not the API: it answered ${status} with ${contentType} in place of JSON`;
  return new ServiceError(message, status, { code: "not_the_api" });
}
