import type { Settings } from "./options";
import { StreamError, type Stream, type StreamListener } from "./stream";
import type { Grant } from "./types";

/** An old stream stays this long beside the new one, for what is still under way on it. */
const LINGER_MS = 2_000;

/** What the current stream tells; items come from the others too, as long as they are open. */
export type CurrentListener = StreamListener & { promoted(): void };

/** The current stream, and those beside it: one being opened, old ones on their way out. */
export class Streams {
  #current: Stream | undefined;
  readonly #others = new Set<Stream>();

  constructor(
    private readonly settings: Settings,
    private readonly listener: CurrentListener,
  ) {}

  /**
   * Opens a stream and makes it the current one; the one before it goes only then.
   *
   * @throws StreamError where it does not open, or not in time, or is no longer wanted.
   */
  async open(grant: Grant, signal: AbortSignal): Promise<void> {
    const stream: Stream = this.settings.openStream(
      grant,
      this.#only(() => stream === this.#current),
    );
    this.#others.add(stream);
    try {
      await this.#inTime(stream.opened, signal);
      if (!stream.alive()) throw new StreamError("The stream ended at once");
    } catch (error) {
      this.#drop(stream);
      throw error;
    }
    this.#promote(stream);
  }

  close(): void {
    for (const stream of this.#others) this.#drop(stream);
    this.#current?.close();
    this.#current = undefined;
  }

  #promote(stream: Stream): void {
    const old = this.#current;
    this.#others.delete(stream);
    this.#current = stream;
    this.listener.promoted();
    if (old === undefined) return;
    this.#others.add(old);
    this.settings.clock.setTimeout(() => this.#drop(old), LINGER_MS);
  }

  #drop(stream: Stream): void {
    this.#others.delete(stream);
    stream.close();
  }

  #only(isCurrent: () => boolean): StreamListener {
    const { listener } = this;
    return {
      item: (text, position) => listener.item(text, position),
      gap: () => listener.gap(),
      heartbeat: () => isCurrent() && listener.heartbeat(),
      interrupted: (resumes) => isCurrent() && listener.interrupted(resumes),
      ended: (error) => isCurrent() && listener.ended(error),
    };
  }

  /** The SDK has no deadline of its own, and an unopened stream occupies a connection. */
  async #inTime(opened: Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, timing } = this.settings;
    let timer: unknown;
    const limit = new Promise<never>((_, reject) => {
      timer = clock.setTimeout(() => reject(new StreamError("The stream did not open in time")), timing.openMs);
      signal.addEventListener("abort", () => reject(new StreamError("No longer wanted")), { once: true });
    });
    await Promise.race([opened, limit]).finally(() => clock.clearTimeout(timer));
  }
}
