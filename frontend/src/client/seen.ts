import { isAnonymous, keyOf } from "./notification";
import type { Memory, Notification } from "./types";

/** Above the 200 records a user that the service keeps, so that a full catch-up finds all of them known. */
const MAX_KEYS = 600;

interface Saved {
  cursor: number;
  keys: string[];
}

/**
 * What has been told already, in this page and before it was loaded: a bounded set of keys, and the time of
 * the newest news, from which the next catch-up starts.
 */
export class Seen {
  #cursor = 0;
  #keys = new Set<string>();

  #hasPast = false;

  constructor(private readonly memory: Memory) {
    this.recall();
  }

  /** Adds what was written down meanwhile, by this page or by another tab. */
  recall(): void {
    const saved = read(this.memory);
    if (saved === null) return;
    this.#hasPast = true;
    this.#cursor = Math.max(this.#cursor, saved.cursor);
    this.#keys = new Set([...saved.keys, ...this.#keys]);
    this.#trim();
  }

  /** Epoch milliseconds; 0 where nothing was ever seen. */
  get cursor(): number {
    return this.#cursor;
  }

  /** False in a browser that this user has never caught up in: all that it learns is history. */
  get hasPast(): boolean {
    return this.#hasPast;
  }

  /** True the first time that this news is seen. */
  add(news: Notification): boolean {
    const key = keyOf(news);
    // Only the services' clocks count: one wrong time of this machine's would hide all later news.
    if (!isAnonymous(news)) this.#cursor = Math.max(this.#cursor, news.time);
    if (this.#keys.has(key)) return false;
    this.#keys.add(key);
    this.#trim();
    return true;
  }

  /** From now on, what a catch-up brings was missed. */
  caughtUp(): void {
    this.#hasPast = true;
  }

  save(): void {
    this.memory.save(JSON.stringify({ cursor: this.#cursor, keys: [...this.#keys] } satisfies Saved));
  }

  forget(): void {
    this.#cursor = 0;
    this.#hasPast = false;
    this.#keys.clear();
    this.memory.clear();
  }

  #trim(): void {
    for (const oldest of this.#keys) {
      if (this.#keys.size <= MAX_KEYS) return;
      this.#keys.delete(oldest);
    }
  }
}

function read(memory: Memory): Saved | null {
  try {
    const saved = JSON.parse(memory.load() ?? "null") as Partial<Saved> | null;
    return typeof saved?.cursor === "number" && Array.isArray(saved.keys) ? (saved as Saved) : null;
  } catch {
    return null; // a damaged memory costs a repeated toast at most
  }
}
