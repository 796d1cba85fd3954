import type { Memory } from "../client";

const PREFIX = "notification-api:";

/** What this browser keeps of one user. Without storage (full, or forbidden) the page works, for this load. */
export class UserStorage {
  constructor(
    private readonly userId: string,
    private readonly storage: Storage = localStorage,
  ) {}

  item(name: string): Memory {
    const key = `${PREFIX}${this.userId}:${name}`;
    return {
      load: () => attempt(() => this.storage.getItem(key)) ?? null,
      save: (value) => void attempt(() => this.storage.setItem(key, value)),
      clear: () => void attempt(() => this.storage.removeItem(key)),
    };
  }

  /** Removes what was kept of this user. */
  clear(): void {
    this.#remove((key) => key.startsWith(`${PREFIX}${this.userId}:`));
  }

  /** Removes what was kept of others, whose session ended without a sign-out. */
  clearOthers(): void {
    this.#remove((key) => !key.startsWith(`${PREFIX}${this.userId}:`));
  }

  #remove(which: (key: string) => boolean): void {
    const keys = attempt(() => Object.keys(this.storage)) ?? [];
    for (const key of keys) if (key.startsWith(PREFIX) && which(key)) attempt(() => this.storage.removeItem(key));
  }
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
