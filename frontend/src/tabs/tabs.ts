import type { ClientState, Notification, Problem, Source } from "../client";
import type { Change, Task } from "../tasks/task-book";

/** What tabs of one user say to each other. `to`: the tab that shows the toast. */
export type Message =
  | { type: "hello" | "active" | "bye"; from: string }
  | { type: "welcome"; state: ClientState; problem: Problem | null; tasks: Task[] }
  | { type: "state"; state: ClientState }
  | { type: "problem"; problem: Problem }
  | { type: "news"; news: Notification; source: Source; to: string }
  | { type: "change"; change: Change }
  /** To the tab that holds this task, where storage did not take it. */
  | { type: "resend"; key: string }
  | { type: "nudge" | "signed-out" };

export interface TabsListener {
  message(message: Message): void;
  /** This tab is the one that holds the subscription from now on, until it closes. */
  leads(): void;
}

/**
 * One tab of a user leads: it alone holds a stream, as a browser opens six connections to a server at most.
 * When it goes, the browser gives the lock, and with it the lead, to another.
 */
export class Tabs {
  readonly id: string = crypto.randomUUID();
  #leads = false;
  #active: string = this.id;
  readonly #channel: BroadcastChannel;
  readonly #closing = new AbortController();

  constructor(
    private readonly name: string,
    private readonly listener: TabsListener,
  ) {
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<Message>) => this.#receive(data);
  }

  get leading(): boolean {
    return this.#leads;
  }

  /** The tab that was looked at last. */
  get active(): string {
    return this.#active;
  }

  join(): void {
    this.send({ type: "hello", from: this.id });
    this.activate();
    const { signal } = this.#closing;
    const held = navigator.locks.request(`${this.name}:lead`, { signal }, () => this.#lead());
    held.catch((error: unknown) => {
      if (!signal.aborted) console.error("No tab can be chosen to lead", error);
    });
  }

  send(message: Message): void {
    if (!this.#closing.signal.aborted) this.#channel.postMessage(message);
  }

  /** This tab is being looked at. */
  activate(): void {
    if (document.visibilityState !== "visible") return;
    this.#active = this.id;
    this.send({ type: "active", from: this.id });
  }

  /** One at a time over all tabs. */
  exclusively(what: string, action: () => Promise<void>): Promise<void> {
    return navigator.locks.request(`${this.name}:${what}`, { signal: this.#closing.signal }, action);
  }

  close(): void {
    this.send({ type: "bye", from: this.id });
    this.#closing.abort();
    this.#channel.close();
    this.#leads = false;
  }

  async #lead(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#leads = true;
    this.listener.leads();
    await new Promise((resolve) => this.#closing.signal.addEventListener("abort", resolve, { once: true }));
  }

  #receive(message: Message): void {
    if (message.type === "active") this.#active = message.from;
    if (message.type === "bye" && message.from === this.#active) this.#active = this.id;
    this.listener.message(message);
  }
}
