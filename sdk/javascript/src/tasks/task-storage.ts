import type { StoredValue } from "../internal/key-value-store";
import { mergeTasks, type Task, type TaskStore } from "./task-store";

const SAVE_AFTER_MS = 300;
/** More than a list shows of a task. 200 tasks of full length would be more than a browser stores. */
const MAX_CHARACTERS = 1_000;

/** Saves the listed tasks over page loads, a few times a second at most. */
export class TaskStorage {
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #storage: StoredValue;
  readonly #store: TaskStore;

  constructor(storage: StoredValue, store: TaskStore) {
    this.#storage = storage;
    this.#store = store;
  }

  load(): void {
    try {
      const tasks: unknown = JSON.parse(this.#storage.load() ?? "[]");
      if (Array.isArray(tasks)) mergeTasks(this.#store, tasks.filter(isTask));
    } catch {
      this.#storage.clear(); // damaged: the next catch-up brings the last day's notifications again
    }
  }

  saveSoon(): void {
    this.#timer ??= setTimeout(() => this.saveNow(), SAVE_AFTER_MS);
  }

  saveNow(): void {
    this.#cancel();
    this.#storage.save(JSON.stringify([...this.#store.values()].map(truncateTask)));
  }

  clear(): void {
    this.#cancel();
    this.#storage.clear();
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function truncateTask(task: Task): Task {
  const { data, message } = task;
  return {
    ...task,
    ...(data !== undefined && { data: truncate(data) }),
    ...(message !== undefined && { message: truncate(message) }),
  };
}

function truncate(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS).replace(/[\uD800-\uDBFF]$/, "")}…`; // no half of a surrogate pair
}

function isTask(value: unknown): value is Task {
  const task = value as Partial<Task> | null;
  return typeof task?.key === "string" && typeof task.state === "string" && typeof task.sentAt === "number";
}
