import type { TabListener, Tabs } from "./tabs";

/** Where tabs cannot share a connection, or are not to: the only tab, which leads. */
export class SingleTab implements Tabs {
  readonly id = "single";
  readonly active: string = this.id;
  isLeader = false;
  readonly #listener: TabListener;

  constructor(listener: TabListener) {
    this.#listener = listener;
  }

  join(): void {
    if (this.isLeader) return;
    this.isLeader = true;
    this.#listener.onLeader();
  }

  leave(): void {
    this.isLeader = false;
  }

  send(): void {}

  activate(): void {}

  withLock(_: string, action: () => Promise<void>): Promise<void> {
    return action();
  }
}
