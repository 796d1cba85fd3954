import type { StreamError } from "../api/errors";
import type { DisposableToken } from "../api/token-service";

/** What a stream reports to the client. Nothing is called after `close()`. */
export interface StreamListener {
  /** `position` distinguishes items of one topic whose text carries no id. */
  item(text: string, position: string): void;
  heartbeat(): void;
  /** The topic reported a discontinuity: something may have been missed. */
  gap(): void;
  /** The browser keeps all text of this stream, by now too much: another stream should replace it. Repeated. */
  oversized(): void;
  /** The stream is lost. A transport never reopens it by itself. */
  ended(error: StreamError): void;
}

export interface Stream {
  /** Settles at the first message. It has no timeout: callers bring their own. */
  readonly opened: Promise<void>;
  /** Where the next stream may resume: absent before any position is known, and where the transport cannot resume. */
  readonly position?: string | undefined;
  isAlive(): boolean;
  /** Ends the stream, also one that is still being opened. Idempotent. */
  close(): void;
}

/** `position` is that of an earlier stream of the same topic. */
export type OpenStream = (token: DisposableToken, listener: StreamListener, position?: string) => Stream;
