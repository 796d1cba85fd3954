import { randomKey } from "../internal/random-key";
import type { Clock } from "../internal/timers";
import { LeaderWatch } from "./leader-watch";
import type { TabListener, TabMessage, Tabs } from "./tabs";

/** Whether the browser has what tabs need to share a connection: on secure pages only. */
export function canShare(): boolean {
  const { navigator, BroadcastChannel } = globalThis as Partial<typeof globalThis>;
  return navigator?.locks !== undefined && BroadcastChannel !== undefined;
}

/** From `join` to `leave`. */
interface Membership {
  channel: BroadcastChannel;
  /** Aborted by `leave`: also a lock that is waited for keeps a page out of the back/forward cache. */
  leaving: AbortController;
  /** Aborts waiting for the leader's lock. */
  waiting: AbortController;
}

/**
 * Elects the leader with a Web Lock: when the leading tab is closed, the browser gives the lock to another one. A tab
 * takes the lock by force (`steal`) where the leader has stopped answering.
 */
export class SharedTabs implements Tabs {
  readonly id: string = randomKey();
  isLeader = false;
  active: string = this.id;
  #membership: Membership | undefined;
  readonly #watch: LeaderWatch;
  readonly #name: string;
  readonly #listener: TabListener;

  constructor(name: string, clock: Clock, listener: TabListener) {
    this.#name = name;
    this.#listener = listener;
    this.#watch = new LeaderWatch(clock, {
      ping: () => this.send({ type: "ping" }),
      onSilent: () => this.#steal(),
    });
  }

  join(): void {
    if (this.#membership !== undefined) return;
    const channel = new BroadcastChannel(this.#name);
    channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#receive(data);
    const membership = { channel, leaving: new AbortController(), waiting: new AbortController() };
    this.#membership = membership;
    this.#follow(membership);
  }

  leave(): void {
    const membership = this.#membership;
    if (membership === undefined) return;
    this.send({ type: "leave", from: this.id });
    this.#membership = undefined;
    this.isLeader = false;
    this.#watch.stop();
    membership.waiting.abort();
    membership.leaving.abort();
    membership.channel.close();
  }

  send(message: TabMessage): void {
    this.#membership?.channel.postMessage(message);
  }

  activate(): void {
    this.active = this.id;
    this.send({ type: "active", from: this.id });
  }

  withLock(name: string, action: () => Promise<void>): Promise<void> {
    const signal = this.#membership?.leaving.signal;
    return navigator.locks.request(`${this.#name}:${name}`, { ...(signal && { signal }) }, action);
  }

  /** Waits to become the leader, and asks the one there is for its state. */
  #follow(membership: Membership): void {
    membership.waiting = new AbortController();
    this.send({ type: "join", from: this.id });
    this.#watch.start();
    void this.#request(membership, { signal: membership.waiting.signal });
  }

  #steal(): void {
    const membership = this.#membership;
    if (membership === undefined || this.isLeader) return;
    membership.waiting.abort();
    void this.#request(membership, { steal: true });
  }

  /** Leads while it holds the lock, and follows again once the lock was stolen. */
  async #request(membership: Membership, options: LockOptions): Promise<void> {
    try {
      await navigator.locks.request(`${this.#name}:leader`, options, () => this.#lead(membership));
    } catch (error) {
      if (membership.leaving.signal.aborted || options.signal?.aborted) return;
      if (this.isLeader) this.#onStolen(membership);
      else console.error("No leading tab can be elected", error);
    }
  }

  async #lead(membership: Membership): Promise<void> {
    const { signal } = membership.leaving;
    if (signal.aborted) return;
    this.isLeader = true;
    this.#watch.stop();
    this.#listener.onLeader();
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }

  #onStolen(membership: Membership): void {
    this.isLeader = false;
    this.#listener.onDeposed();
    this.#follow(membership);
  }

  #receive(message: TabMessage): void {
    if (message.type === "active") this.active = message.from;
    if (message.type === "leave" && message.from === this.active) this.active = this.id;
    if (message.type === "ping" && this.isLeader) this.send({ type: "pong" });
    if (message.type === "pong") this.#watch.answered();
    this.#listener.message(message);
  }
}
