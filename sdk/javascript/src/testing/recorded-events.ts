import type { StreamListener } from "../transport/stream";

/** What was reported to a listener, in order. */
export class RecordedEvents implements StreamListener {
  readonly events: unknown[][] = [];
  readonly #waiting: (() => void)[] = [];

  item = (...all: unknown[]): void => this.#add("item", ...all);
  heartbeat = (): void => this.#add("heartbeat");
  gap = (): void => this.#add("gap");
  oversized = (): void => this.#add("oversized");
  ended = (error: Error): void => this.#add("ended", error.message);

  /** Resolves once so many events have been reported. */
  async wait(count: number): Promise<unknown[][]> {
    while (this.events.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.events;
  }

  #add(...event: unknown[]): void {
    this.events.push(event);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
