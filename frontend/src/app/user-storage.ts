import type { Memory } from "../client";
import type { Shelf } from "../tasks/letters";

const PREFIX = "notification-api:";

/** What this browser keeps of one user. Without storage (full, or forbidden) the page works, for this load. */
export class UserStorage {
  constructor(
    private readonly userId: string,
    private readonly storage: Storage = localStorage,
  ) {}

  item(name: string): Memory {
    const key = this.#prefix + name;
    return {
      load: () => attempt(() => this.storage.getItem(key)) ?? null,
      save: (value) => void attempt(() => this.storage.setItem(key, value)),
      clear: () => void attempt(() => this.storage.removeItem(key)),
    };
  }

  /** Many things of a kind, each under a name of its own. */
  shelf(kind: string): Shelf {
    const prefix = `${this.#prefix}${kind}:`;
    return {
      names: () => this.#keys((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)),
      load: (name) => attempt(() => this.storage.getItem(prefix + name)) ?? null,
      save: (name, value) => attempt(() => (this.storage.setItem(prefix + name, value), true)) ?? false,
      remove: (name) => void attempt(() => this.storage.removeItem(prefix + name)),
    };
  }

  /** Removes what was kept of this user. */
  clear(): void {
    this.#remove((key) => key.startsWith(this.#prefix));
  }

  /** Removes what was kept of others, whose session ended without a sign-out. */
  clearOthers(): void {
    this.#remove((key) => !key.startsWith(this.#prefix));
  }

  get #prefix(): string {
    return `${PREFIX}${this.userId}:`;
  }

  #keys(which: (key: string) => boolean): string[] {
    const keys = attempt(() => Object.keys(this.storage)) ?? [];
    return keys.filter((key) => key.startsWith(PREFIX) && which(key));
  }

  #remove(which: (key: string) => boolean): void {
    for (const key of this.#keys(which)) attempt(() => this.storage.removeItem(key));
  }
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
