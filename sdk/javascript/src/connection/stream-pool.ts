import { StreamError } from "../api/errors";
import type { DisposableToken } from "../api/token-service";
import type { Stream, StreamListener } from "../transport/stream";
import type { Settings } from "./options";

/** A replaced stream stays open for this time, to receive items that were already sent. */
const LINGER_MS = 2_000;

/** Receives the events of the current stream, and the items and gaps of every open stream. */
export type StreamPoolListener = StreamListener & { onCurrentChanged(): void };

/** The current stream, the one being opened, and replaced ones that are about to be closed. */
export class StreamPool {
  #current: Stream | undefined;
  readonly #others = new Set<Stream>();
  /** Of the last current stream: where the next one resumes. */
  #position: string | undefined;
  readonly #settings: Settings;
  readonly #listener: StreamPoolListener;

  constructor(settings: Settings, listener: StreamPoolListener) {
    this.#settings = settings;
    this.#listener = listener;
  }

  /**
   * Opens a stream, which resumes where the last one was, and makes it the current one. The one before it is closed only
   * then.
   *
   * @throws StreamError where it does not open, not in time, or `signal` aborts.
   */
  async open(token: DisposableToken, signal: AbortSignal): Promise<void> {
    const stream: Stream = this.#settings.openStream(
      token,
      this.#listenerFor(() => stream === this.#current),
      this.#current?.position ?? this.#position,
    );
    this.#others.add(stream);
    try {
      await this.#withTimeout(stream.opened, signal);
      if (!stream.isAlive()) throw new StreamError("The stream ended at once");
    } catch (error) {
      this.#drop(stream);
      throw error;
    }
    this.#makeCurrent(stream);
  }

  close(): void {
    for (const stream of this.#others) this.#drop(stream);
    this.#position = this.#current?.position ?? this.#position;
    this.#current?.close();
    this.#current = undefined;
  }

  #makeCurrent(stream: Stream): void {
    const replaced = this.#current;
    this.#others.delete(stream);
    this.#current = stream;
    this.#listener.onCurrentChanged();
    if (replaced === undefined) return;
    this.#others.add(replaced);
    this.#settings.clock.setTimeout(() => this.#drop(replaced), LINGER_MS);
  }

  #drop(stream: Stream): void {
    this.#others.delete(stream);
    stream.close();
  }

  #listenerFor(isCurrent: () => boolean): StreamListener {
    const listener = this.#listener;
    return {
      item: (text, position) => listener.item(text, position),
      gap: () => listener.gap(),
      heartbeat: () => isCurrent() && listener.heartbeat(),
      oversized: () => isCurrent() && listener.oversized(),
      ended: (error) => isCurrent() && listener.ended(error),
    };
  }

  /** A transport has no timeout of its own, and a stream that never opens occupies a connection. */
  async #withTimeout(opened: Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, timing } = this.#settings;
    let timer: unknown;
    const limit = new Promise<never>((_, reject) => {
      timer = clock.setTimeout(() => reject(new StreamError("The stream did not open in time")), timing.openTimeoutMs);
      signal.addEventListener("abort", () => reject(new StreamError("No longer needed")), { once: true });
    });
    await Promise.race([opened, limit]).finally(() => clock.clearTimeout(timer));
  }
}
