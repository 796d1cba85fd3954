import type { Memory } from "../client";
import { merge, type Book, type Task } from "./task-book";

const SAVE_AFTER_MS = 300;
/** More than the list shows of a task; 200 tasks of full length would be more than a browser stores. */
const MAX_CHARACTERS = 1_000;

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
    this.memory.save(JSON.stringify([...this.book.values()].map(shortened)));
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

function shortened(task: Task): Task {
  const { data, text } = task;
  return {
    ...task,
    ...(data !== undefined && { data: short(data) }),
    ...(text !== undefined && { text: short(text) }),
  };
}

function short(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS).replace(/[\uD800-\uDBFF]$/, "")}…`; // half a character is none
}

function isTask(value: unknown): value is Task {
  const task = value as Partial<Task> | null;
  return typeof task?.key === "string" && typeof task.state === "string" && typeof task.sentAt === "number";
}
