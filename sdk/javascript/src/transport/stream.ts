import type { StreamError } from "../api/errors";
import type { DisposableToken } from "../api/token-service";

/** What a stream reports to the client. Nothing is called after `close()`. */
export interface StreamListener {
  /** `position` distinguishes items of one topic whose text carries no id. */
  item(text: string, position: string): void;
  heartbeat(): void;
  /** The topic reported a discontinuity: something may have been missed. */
  gap(): void;
  /** The connection broke and the transport reopens it; `resumes`: from the last position. */
  interrupted(resumes: boolean): void;
  /** The transport has given up. */
  ended(error: StreamError): void;
}

export interface Stream {
  /** Settles at the first message. It has no timeout: callers bring their own. */
  opened: Promise<void>;
  /** False once the transport has ended, even if it did not report so. */
  isAlive(): boolean;
  /** Ends the stream, also one that is still being opened. Idempotent. */
  close(): void;
}

export type OpenStream = (token: DisposableToken, listener: StreamListener) => Stream;
