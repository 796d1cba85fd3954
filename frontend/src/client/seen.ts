import { isBareText, isRecorded, keyOf } from "./notification";
import { RecentKeys } from "./recent-keys";
import type { Memory, Notification, Source } from "./types";

/** Above the 200 records a user that the service keeps, so that a full catch-up finds all of them known. */
const MAX_KEYS = 600;

interface Saved {
  cursor: number | null;
  keys: string[];
  bareText?: boolean;
}

/**
 * What has been told already, in this page and before it was loaded, and up to where it is certain that nothing
 * is missing. Live news does not move that: what was missed before it may still be there to be fetched.
 */
export class Seen {
  #cursor: number | null = null;
  #bareText = false;
  readonly #recorded = new RecentKeys(MAX_KEYS);
  /** No catch-up brings it again: kept apart, so that it pushes out none that one does, and for this page only. */
  readonly #unrecorded = new RecentKeys(MAX_KEYS);

  constructor(private readonly memory: Memory) {
    this.recall();
  }

  /** Adds what was written down meanwhile, by this page or by another tab. */
  recall(): void {
    const saved = read(this.memory);
    if (saved === null) return;
    if (saved.cursor !== null) this.#cursor = Math.max(this.cursor, saved.cursor);
    this.#recorded.addOlder(saved.keys);
    this.#bareText ||= saved.bareText === true;
  }

  /** Epoch milliseconds of the newest record that a catch-up has brought; 0 where none ever did. */
  get cursor(): number {
    return this.#cursor ?? 0;
  }

  /** False in a browser that this user has never caught up in. */
  get hasPast(): boolean {
    return this.#cursor !== null;
  }

  /** What comes live names no task: whatever a catch-up brings may have been told already. */
  get bareText(): boolean {
    return this.#bareText;
  }

  /** True the first time that this news is seen. */
  add(news: Notification, source?: Source): boolean {
    if (isBareText(news)) this.#bareText = true;
    else if (source === "live") this.#bareText = false;
    return (isRecorded(news) ? this.#recorded : this.#unrecorded).add(keyOf(news));
  }

  /** These were all the records that were missing. Only the services' clocks count: this machine's may be wrong. */
  caughtUp(records: Notification[]): void {
    this.#cursor = records.reduce((newest, { time }) => Math.max(newest, time), this.cursor);
  }

  save(): void {
    this.memory.save(JSON.stringify(this.#saved()));
  }

  forget(): void {
    this.#cursor = null;
    this.#bareText = false;
    this.#recorded.clear();
    this.#unrecorded.clear();
    this.memory.clear();
  }

  #saved(): Saved {
    return { cursor: this.#cursor, keys: this.#recorded.all(), bareText: this.#bareText };
  }
}

function read(memory: Memory): Saved | null {
  try {
    const saved = JSON.parse(memory.load() ?? "null") as Partial<Saved> | null;
    const usable = saved?.cursor === null || typeof saved?.cursor === "number";
    return usable && Array.isArray(saved.keys) ? (saved as Saved) : null;
  } catch {
    return null; // a damaged memory costs a repeated toast at most
  }
}
