import type { KeyValueStore, StoredValue } from "../internal/key-value-store";

/** The part of Web Storage that is used: `localStorage`, or anything that behaves like it. */
export type WebStorage = Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;

const NAMESPACE = "notification-api:";
/** To be raised when the format of stored values changes: older values are removed. */
const VERSION = "v2";

/** `localStorage`, where there is a page whose browser permits it. */
export function defaultStorage(): WebStorage | null {
  return "document" in globalThis ? (attempt(() => localStorage) ?? null) : null;
}

/** What this browser stores for one user. Where storage is full, blocked or missing, the package works without it. */
export class UserStorage {
  /** Prefix of the keys, and of the names that the tabs of this user share. */
  readonly name: string;
  readonly #storage: WebStorage | null;

  constructor(userId: string, storage: WebStorage | null) {
    this.name = `${NAMESPACE}${VERSION}:${userId}`;
    this.#storage = storage;
  }

  value(name: string): StoredValue {
    const key = this.#prefix + name;
    return {
      load: () => this.#load(key),
      save: (value) => void this.#save(key, value),
      clear: () => this.#removeKey(key),
    };
  }

  keyValueStore(kind: string): KeyValueStore {
    const prefix = `${this.#prefix}${kind}:`;
    return {
      keys: () => this.#keys((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)),
      load: (key) => this.#load(prefix + key),
      save: (key, value) => this.#save(prefix + key, value),
      remove: (key) => this.#removeKey(prefix + key),
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

  #load(key: string): string | null {
    return attempt(() => this.#storage?.getItem(key)) ?? null;
  }

  /** False where it was not taken. */
  #save(key: string, value: string): boolean {
    const storage = this.#storage;
    return storage !== null && (attempt(() => (storage.setItem(key, value), true)) ?? false);
  }

  #removeKey(key: string): void {
    attempt(() => this.#storage?.removeItem(key));
  }

  #keys(matches: (key: string) => boolean): string[] {
    const storage = this.#storage;
    if (storage === null) return [];
    const keys = attempt(() => Array.from({ length: storage.length }, (_, index) => storage.key(index))) ?? [];
    return keys.filter((key): key is string => key !== null && key.startsWith(NAMESPACE) && matches(key));
  }

  #remove(matches: (key: string) => boolean): void {
    for (const key of this.#keys(matches)) this.#removeKey(key);
  }
}

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
