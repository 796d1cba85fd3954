import { knows, type Book, type Change } from "./task-book";

type Told = Extract<Change, { type: "told" }>;

/** Longer than an answer takes to reach this tab, and shorter than a person waits for an entry. */
const PATIENCE_MS = 1_500;

/**
 * News may be faster than the answer that says which task it is about. While tasks are being sent, in whichever
 * tab, news of an unknown one waits a moment for that answer: else it would be listed twice until then.
 */
export class EarlyNews {
  #waiting: Told[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly book: Book,
    private readonly list: (told: Told) => void,
  ) {}

  add(told: Told): void {
    if (knows(this.book, told.news.taskId) || !this.#isSending()) return this.list(told);
    this.#waiting.push(told);
    this.#timer ??= setTimeout(() => this.#release(() => true), PATIENCE_MS);
  }

  /** The task has become known. */
  accepted(taskId: string): void {
    if (this.#waiting.length > 0) this.#release(({ news }) => news.taskId === taskId);
  }

  /** Lists what waits: it counts as told, and would not come again. */
  close(): void {
    this.#release(() => true);
  }

  #isSending(): boolean {
    for (const task of this.book.values()) if (task.state === "kept") return true;
    return false;
  }

  #release(which: (told: Told) => boolean): void {
    const released = this.#waiting.filter(which);
    this.#waiting = this.#waiting.filter((told) => !which(told));
    if (this.#waiting.length === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    for (const told of released) this.list(told);
  }
}
