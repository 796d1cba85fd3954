import type { ClientError } from "../api/errors";
import type { ClientState } from "../connection/state-machine";
import type { Notification, Source } from "../notifications/notification";
import type { Task } from "../tasks/task";
import type { TaskChange } from "../tasks/task-store";

/** A message between the tabs of one user. */
export type TabMessage =
  | { type: "join" | "active" | "leave"; from: string }
  /** The leader's answer to `join`. */
  | { type: "snapshot"; state: ClientState; error: ClientError | null; tasks: Task[]; readUntil: number }
  | { type: "state"; state: ClientState }
  | { type: "error"; error: ClientError }
  /** `to`: the tab that announces it. */
  | { type: "notification"; notification: Notification; source: Source; to: string }
  | { type: "change"; change: TaskChange }
  /** The notifications until this time (epoch milliseconds) are read. */
  | { type: "read"; until: number }
  /** To the tab that holds this task in memory, where storage did not take it. */
  | { type: "resend"; key: string }
  | { type: "check-now" | "signed-out" };

export interface TabListener {
  message(message: TabMessage): void;
  /** From now on, and until it is closed, this tab holds the subscription. */
  onLeader(): void;
}

/**
 * Elects one of a user's tabs as the leader, and passes messages between them. Only the leader opens a stream, as a
 * browser opens six connections to a server at most. The election is a Web Lock: when the leader is closed, the
 * browser gives the lock to another tab.
 */
export class TabCoordinator {
  readonly id: string = crypto.randomUUID();
  #isLeader = false;
  #active: string = this.id;
  readonly #channel: BroadcastChannel;
  readonly #closing = new AbortController();
  readonly #name: string;
  readonly #listener: TabListener;

  constructor(name: string, listener: TabListener) {
    this.#name = name;
    this.#listener = listener;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#receive(data);
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  /** The id of the tab that was visible last. */
  get active(): string {
    return this.#active;
  }

  join(): void {
    this.send({ type: "join", from: this.id });
    const { signal } = this.#closing;
    const held = navigator.locks.request(`${this.#name}:leader`, { signal }, () => this.#lead());
    held.catch((error: unknown) => {
      if (!signal.aborted) console.error("No leading tab can be elected", error);
    });
  }

  send(message: TabMessage): void {
    if (!this.#closing.signal.aborted) this.#channel.postMessage(message);
  }

  /** This tab is visible. */
  activate(): void {
    this.#active = this.id;
    this.send({ type: "active", from: this.id });
  }

  /** Runs one action of this name at a time over all tabs. */
  withLock(name: string, action: () => Promise<void>): Promise<void> {
    return navigator.locks.request(`${this.#name}:${name}`, { signal: this.#closing.signal }, action);
  }

  close(): void {
    this.send({ type: "leave", from: this.id });
    this.#closing.abort();
    this.#channel.close();
    this.#isLeader = false;
  }

  async #lead(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#isLeader = true;
    this.#listener.onLeader();
    await new Promise((resolve) => this.#closing.signal.addEventListener("abort", resolve, { once: true }));
  }

  #receive(message: TabMessage): void {
    if (message.type === "active") this.#active = message.from;
    if (message.type === "leave" && message.from === this.#active) this.#active = this.id;
    this.#listener.message(message);
  }
}
