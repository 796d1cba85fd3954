import { defined } from "../internal/defined";
import type { StoredValue } from "../internal/key-value-store";
import type { Clock } from "../internal/timers";
import { isTaskState, type Task } from "./task";
import { newestFirst, type TaskStore } from "./task-store";

const SAVE_AFTER_MS = 1_000;
/** More than a row shows of a task, or of its result. */
const MAX_CHARACTERS = 1_000;
/** In all tasks together. Browsers give a page about 5 million characters, which the pending tasks share. */
const MAX_TOTAL_CHARACTERS = 2_000_000;

/** Saves the listed tasks over page loads, once a second at most. */
export class TaskStorage {
  #timer: unknown;
  readonly #storage: StoredValue;
  readonly #store: TaskStore;
  readonly #clock: Clock;

  constructor(storage: StoredValue, store: TaskStore, clock: Clock) {
    this.#storage = storage;
    this.#store = store;
    this.#clock = clock;
  }

  load(): Task[] {
    try {
      const tasks: unknown = JSON.parse(this.#storage.load() ?? "[]");
      return Array.isArray(tasks) ? tasks.filter(isTask) : [];
    } catch {
      this.#storage.clear(); // damaged: the next catch-up brings the last day's notifications again
      return [];
    }
  }

  saveSoon(): void {
    this.#timer ??= this.#clock.setTimeout(() => this.saveNow(), SAVE_AFTER_MS);
  }

  saveNow(): void {
    this.#cancel();
    this.#storage.save(`[${this.#newestThatFit().join(",")}]`);
  }

  clear(): void {
    this.#cancel();
    this.#storage.clear();
  }

  #newestThatFit(): string[] {
    let characters = 0;
    const saved = newestFirst(this.#store).map((task) => JSON.stringify(truncateTask(task)));
    const end = saved.findIndex((text) => (characters += text.length + 1) > MAX_TOTAL_CHARACTERS);
    return end === -1 ? saved : saved.slice(0, end);
  }

  #cancel(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Data that is too long becomes a title, so that a part of it is never sent again as a task. */
function truncateTask({ data, result, message, ...task }: Task): Task {
  const isCut = isLong(result) || isLong(message);
  return {
    ...task,
    ...(isLong(data) ? { title: truncate(textOf(data)) } : defined({ data })),
    ...defined({ message: message && truncate(message), result: isLong(result) ? undefined : result }),
    ...(isCut && { truncated: true }),
  };
}

function isLong(value: unknown): boolean {
  return value !== undefined && textOf(value).length > MAX_CHARACTERS;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function truncate(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS).replace(/[\uD800-\uDBFF]$/, "")}…`; // no half of a surrogate pair
}

function isTask(value: unknown): value is Task {
  const task = value as Partial<Task> | null;
  return typeof task?.key === "string" && isTaskState(task.state) && typeof task.sentAt === "number";
}
