import type { KeyValueStore, StoredValue } from "notification-api-client";

const NAMESPACE = "notification-api:";
/** To be raised when the format of stored values changes: older values are removed. */
const VERSION = "v2";

/** What this browser stores for one user. Where storage is full or blocked, the application works without it. */
export class UserStorage {
  /** Prefix of the keys, and of the names that the tabs of this user share. */
  readonly name: string;
  readonly #storage: Storage;

  constructor(userId: string, storage: Storage = localStorage) {
    this.name = `${NAMESPACE}${VERSION}:${userId}`;
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

  keyValueStore(kind: string): KeyValueStore {
    const prefix = `${this.#prefix}${kind}:`;
    return {
      keys: () => this.#keys((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)),
      load: (key) => attempt(() => this.#storage.getItem(prefix + key)) ?? null,
      save: (key, value) => attempt(() => (this.#storage.setItem(prefix + key, value), true)) ?? false,
      remove: (key) => void attempt(() => this.#storage.removeItem(prefix + key)),
    };
  }

  /** Removes this user's values. */
  clear(): void {
    this.#remove((key) => key.startsWith(this.#prefix));
  }

  /** Removes the values of other users, whose session ended without a sign-out, and of other versions. */
  clearOthers(): void {
    this.#remove((key) => !key.startsWith(this.#prefix));
  }

  get #prefix(): string {
    return `${this.name}:`;
  }

  #keys(matches: (key: string) => boolean): string[] {
    const keys = attempt(() => Object.keys(this.#storage)) ?? [];
    return keys.filter((key) => key.startsWith(NAMESPACE) && matches(key));
  }

  #remove(matches: (key: string) => boolean): void {
    for (const key of this.#keys(matches)) attempt(() => this.#storage.removeItem(key));
  }
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
