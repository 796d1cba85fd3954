import type { Memory } from "../client";
import { merge, type Book, type Task } from "./task-book";

const SAVE_AFTER_MS = 300;

/** Keeps the book over page loads, writing at most a few times a second. */
export class TaskMemory {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly memory: Memory,
    private readonly book: Book,
  ) {}

  load(): void {
    try {
      const tasks: unknown = JSON.parse(this.memory.load() ?? "[]");
      if (Array.isArray(tasks)) merge(this.book, tasks.filter(isTask));
    } catch {
      this.memory.clear(); // damaged: the news of the last day comes again with the next catch-up
    }
  }

  saveSoon(): void {
    this.#timer ??= setTimeout(() => this.saveNow(), SAVE_AFTER_MS);
  }

  saveNow(): void {
    this.#cancel();
    this.memory.save(JSON.stringify([...this.book.values()]));
  }

  forget(): void {
    this.#cancel();
    this.memory.clear();
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function isTask(value: unknown): value is Task {
  const task = value as Partial<Task> | null;
  return typeof task?.key === "string" && typeof task.state === "string" && typeof task.sentAt === "number";
}
