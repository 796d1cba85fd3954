import { StreamError } from "../api/errors";
import type { DisposableToken } from "../api/token-service";
import type { Notification } from "../notifications/notification";
import type { OpenStream, Stream, StreamListener } from "../transport/stream";

/** One stream of a {@link FakeTopic}, controlled by the test in place of the server. */
export class FakeStream implements Stream {
  readonly opened: Promise<void>;
  closed = false;
  dead = false;
  #settle!: { resolve: () => void; reject: (error: Error) => void };
  position: string | undefined;
  #sequence = 0;
  readonly token: DisposableToken;
  readonly listener: StreamListener;
  /** Where it resumes. */
  readonly resumedAt: string | undefined;

  constructor(token: DisposableToken, listener: StreamListener, position: string | undefined) {
    this.token = token;
    this.listener = listener;
    this.position = this.resumedAt = position;
    this.opened = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
  }

  isAlive(): boolean {
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

  item(content: Partial<Notification> | string): void {
    const text = typeof content === "string" ? content : JSON.stringify(finished(content));
    if (this.closed) return;
    this.position = String(this.#sequence++);
    this.listener.item(text, this.position);
  }
}

/** Accepts each stream at once, unless `accepting` is false. */
export class FakeTopic {
  readonly streams: FakeStream[] = [];
  accepting = true;

  readonly open: OpenStream = (token, listener, position) => {
    const stream = new FakeStream(token, listener, position);
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

export function finished(fields: Partial<Notification>): Notification {
  return { taskId: "t1", status: "finished", message: "Finished task: x", time: 1_700_000_000_000, ...fields };
}
