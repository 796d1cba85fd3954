import type { StoredValue } from "../internal/key-value-store";
import { isInHistory, isPlainText, keyOf, type Notification, type Source } from "./notification";

/** Above the 700 notifications a user that the service's history keeps, so that a full catch-up knows all of them. */
const MAX_KEYS = 1_000;

interface Saved {
  /** A number, the time of the newest notification, where an earlier version of the client wrote it. */
  cursor: string | number | null;
  keys: string[];
  hasCaughtUp?: boolean;
  plainText?: boolean;
}

/**
 * The keys of the notifications that were emitted, over page loads too, and the service's cursor of the last catch-up
 * whose notifications were all emitted. Both are saved as one value, and only by the leading tab, so a saved cursor
 * always has the keys of what it covers. An outdated cursor does no harm: the keys identify what is returned again.
 */
export class SeenNotifications {
  #cursor: string | null = null;
  #hasCaughtUp = false;
  #plainText = false;
  readonly #inHistory = new RecentKeys();
  /** Never returned by a catch-up: kept apart so that they evict none of the others, and not saved. */
  readonly #notInHistory = new RecentKeys();
  readonly #storage: StoredValue;

  constructor(storage: StoredValue) {
    this.#storage = storage;
    this.load();
  }

  /** Adds what this page or another tab has saved meanwhile. */
  load(): void {
    const saved = read(this.#storage);
    if (saved === null) return;
    if (typeof saved.cursor === "string") this.#cursor = saved.cursor;
    this.#hasCaughtUp ||= saved.hasCaughtUp === true || saved.cursor !== null;
    this.#inHistory.addOlder(saved.keys);
    this.#plainText ||= saved.plainText === true;
  }

  /** The service's opaque cursor; null: the whole history is to be fetched. */
  get cursor(): string | null {
    return this.#cursor;
  }

  /** False in a browser in which this user has never caught up. */
  get hasCaughtUp(): boolean {
    return this.#hasCaughtUp;
  }

  /** Live notifications name no task, so what a catch-up returns may have been emitted already. */
  get plainText(): boolean {
    return this.#plainText;
  }

  /** True the first time that this notification is added. */
  add(notification: Notification, source?: Source): boolean {
    if (isPlainText(notification)) this.#plainText = true;
    else if (source === "live") this.#plainText = false;
    return (isInHistory(notification) ? this.#inHistory : this.#notInHistory).add(keyOf(notification));
  }

  /** All that was missed has been emitted; the next catch-up asks after `cursor`. */
  markCaughtUp(cursor: string | null): void {
    this.#cursor = cursor;
    this.#hasCaughtUp = true;
  }

  /** The service refused the cursor: the next catch-up fetches the whole history, and the keys say what is new. */
  dropCursor(): void {
    this.#cursor = null;
  }

  save(): void {
    this.#storage.save(JSON.stringify(this.#saved()));
  }

  clear(): void {
    this.#cursor = null;
    this.#hasCaughtUp = false;
    this.#plainText = false;
    this.#inHistory.clear();
    this.#notInHistory.clear();
    this.#storage.clear();
  }

  #saved(): Saved {
    const keys = this.#inHistory.all();
    return { cursor: this.#cursor, hasCaughtUp: this.#hasCaughtUp, keys, plainText: this.#plainText };
  }
}

/** A set of at most `MAX_KEYS` keys: the oldest are evicted. */
class RecentKeys {
  #keys = new Set<string>();

  /** True where the key is new. */
  add(key: string): boolean {
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    this.#trim();
    return true;
  }

  addOlder(keys: Iterable<string>): void {
    this.#keys = new Set([...keys, ...this.#keys]);
    this.#trim();
  }

  all(): string[] {
    return [...this.#keys];
  }

  clear(): void {
    this.#keys.clear();
  }

  #trim(): void {
    for (const oldest of this.#keys) {
      if (this.#keys.size <= MAX_KEYS) return;
      this.#keys.delete(oldest);
    }
  }
}

/** Null where nothing was saved, or the value is damaged: that costs a repeated toast at most. */
function read(storage: StoredValue): Saved | null {
  try {
    const saved = JSON.parse(storage.load() ?? "null") as Partial<Saved> | null;
    const usable = saved?.cursor === null || ["string", "number"].includes(typeof saved?.cursor);
    return usable && isStrings(saved?.keys) ? (saved as Saved) : null;
  } catch {
    return null;
  }
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
