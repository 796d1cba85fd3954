/** Nobody is signed in, or the session has expired: the user has to sign in again. */
export class SignedOutError extends Error {
  override name = "SignedOutError";
}

/** The service answered with an error; `message` is the `detail` of its problem document, where it sent one. */
export class ServiceError extends Error {
  override name = "ServiceError";
  readonly status: number;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, status: number, requestId: string | undefined, retryAfterMs: number | undefined) {
    super(message);
    this.status = status;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The service's answer has not the agreed form. */
export class MalformedAnswerError extends TypeError {
  override name = "MalformedAnswerError";
}

/** A stream could not be opened or has ended; `tokenRefused`: another disposable token is needed. */
export class StreamError extends Error {
  override name = "StreamError";
  readonly tokenRefused: boolean;

  constructor(message: string, tokenRefused = false) {
    super(message);
    this.tokenRefused = tokenRefused;
  }
}

/** What the `error` event reports. The client retries by itself, unless the user is signed out. */
export interface ClientError {
  /** What failed. */
  source: "token" | "stream" | "catch-up";
  message: string;
  status?: number;
  requestId?: string;
  retryAfterMs?: number;
}

/** A stream error has the source `stream`, whatever the client was doing. */
export function toClientError(source: ClientError["source"], error: unknown): ClientError {
  const message = error instanceof Error ? error.message : String(error);
  const clientError: ClientError = { source: error instanceof StreamError ? "stream" : source, message };
  if (!(error instanceof ServiceError)) return clientError;
  clientError.status = error.status;
  if (error.requestId !== undefined) clientError.requestId = error.requestId;
  return { ...clientError, ...retryAfterOf(error) };
}

export function retryAfterOf(error: unknown): { retryAfterMs?: number } {
  return error instanceof ServiceError && error.retryAfterMs !== undefined ? { retryAfterMs: error.retryAfterMs } : {};
}
