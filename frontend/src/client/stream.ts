import type { Grant } from "./types";

/** What a stream tells the client. Nothing is called after `close()`. */
export interface StreamListener {
  /** `position` tells two items of one topic apart where their text carries no id. */
  item(text: string, position: string): void;
  heartbeat(): void;
  /** The topic's history has a hole: something may have been missed. */
  gap(): void;
  /** The connection broke and the transport is opening it again; `resumes`: from where it stood. */
  interrupted(resumes: boolean): void;
  /** The transport has given up. */
  ended(error: StreamError): void;
}

export interface Stream {
  /** Settles at the first message. Callers bring their own deadline. */
  opened: Promise<void>;
  /** False once the transport has died, said so or not. */
  alive(): boolean;
  /** Ends the stream, even one that never opened; may be called again. */
  close(): void;
}

export type OpenStream = (grant: Grant, listener: StreamListener) => Stream;

/** A stream could not be opened or has ended; `tokenRefused`: another disposable token is needed. */
export class StreamError extends Error {
  override name = "StreamError";
  constructor(
    message: string,
    readonly tokenRefused = false,
  ) {
    super(message);
  }
}
