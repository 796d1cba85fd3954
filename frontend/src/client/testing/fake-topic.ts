import { StreamError, type OpenStream, type Stream, type StreamListener } from "../stream";
import type { Grant, Notification } from "../types";

/** One stream of a {@link FakeTopic}, with the far end's levers. */
export class FakeStream implements Stream {
  readonly opened: Promise<void>;
  closed = false;
  dead = false;
  #settle!: { resolve: () => void; reject: (error: Error) => void };
  #position = 0;

  constructor(
    readonly grant: Grant,
    readonly listener: StreamListener,
  ) {
    this.opened = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  alive(): boolean {
    return !this.closed && !this.dead;
  }

  close(): void {
    this.closed = true;
  }

  accept(): void {
    this.#settle.resolve();
  }

  refuse(error = new StreamError("refused")): void {
    this.#settle.reject(error);
  }

  heartbeat(): void {
    if (!this.closed) this.listener.heartbeat();
  }

  item(news: Partial<Notification> | string): void {
    const text = typeof news === "string" ? news : JSON.stringify(finished(news));
    if (!this.closed) this.listener.item(text, String(this.#position++));
  }
}

/** Opens streams that accept at once, unless told to wait. */
export class FakeTopic {
  readonly streams: FakeStream[] = [];
  accepting = true;

  readonly open: OpenStream = (grant, listener) => {
    const stream = new FakeStream(grant, listener);
    this.streams.push(stream);
    if (this.accepting) stream.accept();
    return stream;
  };

  get last(): FakeStream {
    const last = this.streams.at(-1);
    if (last === undefined) throw new Error("No stream was opened");
    return last;
  }

  get openCount(): number {
    return this.streams.filter((stream) => !stream.closed).length;
  }
}

export function finished(news: Partial<Notification>): Notification {
  return { taskId: "t1", status: "finished", message: "Finished task: x", time: 1_700_000_000_000, ...news };
}
