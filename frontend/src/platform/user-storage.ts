/** One value in storage that survives page loads. */
export interface StoredValue {
  load(): string | null;
  save(value: string): void;
  clear(): void;
}

const NAMESPACE = "notification-api-page:";

/** What the page itself stores for one user. Where storage is full or blocked, the page works without it. */
export class UserStorage {
  readonly #prefix: string;
  readonly #storage: Storage;

  constructor(userId: string, storage: Storage) {
    this.#prefix = `${NAMESPACE}${userId}:`;
    this.#storage = storage;
  }

  value(name: string): StoredValue {
    const key = this.#prefix + name;
    return {
      load: () => attempt(() => this.#storage.getItem(key)) ?? null,
      save: (value) => void attempt(() => this.#storage.setItem(key, value)),
      clear: () => void attempt(() => this.#storage.removeItem(key)),
    };
  }

  /** Removes this user's values. */
  clear(): void {
    this.#remove((key) => key.startsWith(this.#prefix));
  }

  /** Removes the values of other users, whose session ended without a sign-out. */
  clearOthers(): void {
    this.#remove((key) => !key.startsWith(this.#prefix));
  }

  #remove(matches: (key: string) => boolean): void {
    const keys = attempt(() => Object.keys(this.#storage)) ?? [];
    const matching = keys.filter((key) => key.startsWith(NAMESPACE) && matches(key));
    for (const key of matching) attempt(() => this.#storage.removeItem(key));
  }
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
