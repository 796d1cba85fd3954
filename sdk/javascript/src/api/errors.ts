import { defined } from "../internal/defined";

/** What went wrong. To be compared in place of classes, which two copies of a package do not share. */
export type ErrorCode =
  /** Nobody is signed in, or the session has expired. */
  | "signed_out"
  /** The service could not be reached, or did not answer in time. */
  | "network"
  /** `getIdToken` failed: it is called again. */
  | "id_token"
  /** A stream could not be opened or has ended. */
  | "stream"
  /** Another 4xx: the request itself is wrong. */
  | "invalid_request"
  /** 403. */
  | "forbidden"
  /** 404. */
  | "not_found"
  /** 409: the task's state does not permit it. */
  | "conflict"
  /** 410: it is no longer stored. */
  | "gone"
  /** 429: one request too many. */
  | "rate_limited"
  /** 408 and 5xx: the service cannot answer now. */
  | "unavailable"
  /** What answered at the URL is not the service, or its answer has not the agreed form. */
  | "not_the_api"
  /** The URL is relative, and there is no page to which it could be relative. */
  | "invalid_url"
  /** Too many tasks wait to be sent. */
  | "outbox_full"
  /** The task was removed before it was accepted. */
  | "removed";

/** An error as plain data, in which form tabs and storage pass it on. */
export interface ErrorData {
  code: ErrorCode;
  message: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
  /** The HTTP status, where the service answered. */
  status?: number;
  requestId?: string;
  retryAfterMs?: number;
  /** The URI of the problem's type. */
  type?: string;
}

/** The base class of the package's errors. */
export class NotificationError extends Error {
  override name = "NotificationError";
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: { retryable?: boolean; cause?: unknown } = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** Nobody is signed in, or the session has expired: the user has to sign in again. */
export class SignedOutError extends NotificationError {
  override name = "SignedOutError";

  constructor(message: string) {
    super("signed_out", message);
  }
}

/** No answer arrived: there is no network, the service is down or too slow, or CORS does not permit the page. */
export class NetworkError extends NotificationError {
  override name = "NetworkError";

  constructor(cause: unknown) {
    super("network", "The service cannot be reached", { retryable: true, cause });
  }
}

/** An answer without the agreed form. */
export function malformed(message: string): NotificationError {
  return new NotificationError("not_the_api", message);
}

/** What a problem document and the headers of an answer say about an error. */
export interface ServiceErrorDetails {
  requestId?: string | undefined;
  retryAfterMs?: number | undefined;
  type?: string | undefined;
  code?: ErrorCode;
}

const CODES: Record<number, ErrorCode> = {
  403: "forbidden",
  404: "not_found",
  409: "conflict",
  410: "gone",
  429: "rate_limited",
};
/** These answers may be different next time. */
const RETRYABLE = new Set([408, 429]);

/** The service answered with an error; `message` is the `detail` of its problem document, where it sent one. */
export class ServiceError extends NotificationError {
  override name = "ServiceError";
  readonly status: number;
  readonly requestId: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** The URI of the problem's type. */
  readonly type: string | undefined;

  constructor(detail: string, status: number, { requestId, retryAfterMs, type, code }: ServiceErrorDetails = {}) {
    const retryable = RETRYABLE.has(status) || status >= 500;
    super(code ?? CODES[status] ?? (retryable ? "unavailable" : "invalid_request"), detail, { retryable });
    this.status = status;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
    this.type = type;
  }

  get detail(): string {
    return this.message;
  }
}

/** A stream could not be opened or has ended; `tokenRefused`: another disposable token is needed. */
export class StreamError extends NotificationError {
  override name = "StreamError";
  readonly tokenRefused: boolean;

  constructor(message: string, tokenRefused = false) {
    super("stream", message, { retryable: true });
    this.tokenRefused = tokenRefused;
  }
}

/** What the `error` event reports. The client retries by itself, unless the user is signed out. */
export interface ClientError extends ErrorData {
  /** What failed. */
  source: "token" | "stream" | "catch-up";
}

/** A stream error has the source `stream`, whatever the client was doing. */
export function toClientError(source: ClientError["source"], error: unknown): ClientError {
  return { source: error instanceof StreamError ? "stream" : source, ...toErrorData(error) };
}

export function toErrorData(error: unknown): ErrorData {
  if (!(error instanceof NotificationError))
    return { code: "network", message: error instanceof Error ? error.message : String(error), retryable: true };
  const { code, message, retryable } = error;
  const { status, requestId, retryAfterMs, type }: Partial<ServiceError> = error instanceof ServiceError ? error : {};
  return { code, message, retryable, ...defined({ status, requestId, retryAfterMs, type }) };
}

export function fromErrorData({ code, message, retryable, status, ...details }: ErrorData): NotificationError {
  if (status === undefined) return new NotificationError(code, message, { retryable });
  return new ServiceError(message, status, { ...details, code });
}

/** The HTTP status of the service's answer; 0 where it is not known. */
export function statusOf(error: unknown): number {
  return error instanceof ServiceError ? error.status : 0;
}

/** The pause that the service asked for, in milliseconds. */
export function retryAfterOf(error: unknown): number | undefined {
  return error instanceof ServiceError ? error.retryAfterMs : undefined;
}
