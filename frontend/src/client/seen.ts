import { isBareText, isRecorded, keyOf } from "./notification";
import { RecentKeys } from "./recent-keys";
import type { Memory, Notification, Source } from "./types";

/** Above the 700 records a user that the service keeps at most, so that a full catch-up finds all of them known. */
const MAX_KEYS = 1_000;

interface Saved {
  /** A number, the time of the newest record, where the version before this one wrote it. */
  cursor: string | number | null;
  keys: string[];
  hasPast?: boolean;
  bareText?: boolean;
}

/**
 * What has been told already, in this page and before it was loaded, and the service's cursor of the last catch-up
 * whose news has all been told. Both are written as one value, and only by the tab that leads, so a cursor never
 * comes without the keys of what it covers. An older cursor is harmless: what comes again is known by its key.
 */
export class Seen {
  #cursor: string | null = null;
  #hasPast = false;
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
    if (typeof saved.cursor === "string") this.#cursor = saved.cursor;
    this.#hasPast ||= saved.hasPast === true || saved.cursor !== null;
    this.#recorded.addOlder(saved.keys);
    this.#bareText ||= saved.bareText === true;
  }

  /** Opaque, the service's own; null: everything is to be asked for. */
  get cursor(): string | null {
    return this.#cursor;
  }

  /** False in a browser that this user has never caught up in. */
  get hasPast(): boolean {
    return this.#hasPast;
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

  /** All that was missing has been told; the next catch-up asks after `cursor`. */
  caughtUp(cursor: string | null): void {
    this.#cursor = cursor;
    this.#hasPast = true;
  }

  /** The service does not take it: the next catch-up asks for everything, and the keys say what is new. */
  dropCursor(): void {
    this.#cursor = null;
  }

  save(): void {
    this.memory.save(JSON.stringify(this.#saved()));
  }

  forget(): void {
    this.#cursor = null;
    this.#hasPast = false;
    this.#bareText = false;
    this.#recorded.clear();
    this.#unrecorded.clear();
    this.memory.clear();
  }

  #saved(): Saved {
    const keys = this.#recorded.all();
    return { cursor: this.#cursor, hasPast: this.#hasPast, keys, bareText: this.#bareText };
  }
}

function read(memory: Memory): Saved | null {
  try {
    const saved = JSON.parse(memory.load() ?? "null") as Partial<Saved> | null;
    const usable = saved?.cursor === null || ["string", "number"].includes(typeof saved?.cursor);
    return usable && isTexts(saved?.keys) ? (saved as Saved) : null;
  } catch {
    return null; // a damaged memory costs a repeated toast at most
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}
