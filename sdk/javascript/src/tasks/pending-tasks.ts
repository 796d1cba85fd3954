import type { KeyValueStore } from "../internal/key-value-store";
import type { TaskOptions } from "./task";

/** A task that has not been accepted by the service. Its key is the Idempotency-Key, so resending is safe. */
export interface PendingTask {
  key: string;
  /** Any JSON. */
  data: unknown;
  options?: TaskOptions;
  /** Epoch milliseconds. */
  at: number;
  /** How often the service has answered with an error; at `MAX_TRIES` the task is no longer tried. */
  tries?: number;
}

/** Enough for an error that passes, while later tasks wait a few seconds at most. */
export const MAX_TRIES = 5;
/** More than a person sends before the service answers. */
export const MAX_PENDING_TASKS = 100;
/** In all tasks together. Browsers give a page about 5 million characters, which the list of tasks shares. */
export const MAX_CHARACTERS = 2_000_000;

/**
 * The tasks that are still to be sent, each under a key of its own, so that tabs which write at the same time do not
 * overwrite each other. A task that storage does not take is held in memory while the page is open.
 */
export class PendingTasks {
  readonly #inMemory = new Map<string, PendingTask>();
  readonly #store: KeyValueStore;

  constructor(store: KeyValueStore) {
    this.#store = store;
  }

  /** Whether some tasks would be lost with the page. */
  get memoryOnly(): boolean {
    return [...this.#inMemory.keys()].some((key) => this.#store.load(key) === null);
  }

  /** Oldest first. */
  all(): PendingTask[] {
    const stored = this.#store.keys().flatMap((key) => parse(this.#store.load(key)) ?? []);
    const byKey = new Map([...stored, ...this.#inMemory.values()].map((task) => [task.key, task]));
    return [...byKey.values()].sort((a, b) => a.at - b.at);
  }

  /** The tasks to be sent, oldest first. */
  waiting(): PendingTask[] {
    return this.all().filter((task) => !isUnsent(task));
  }

  /** The tasks that are no longer tried, oldest first. */
  unsent(): PendingTask[] {
    return this.all().filter(isUnsent);
  }

  /** False where the limits are reached. */
  add(task: PendingTask): boolean {
    const value = JSON.stringify(task);
    const lengths = [
      ...this.#store.keys().map((key) => this.#store.load(key)?.length ?? 0),
      ...[...this.#inMemory.values()].map((each) => JSON.stringify(each).length),
    ];
    const characters = lengths.reduce((sum, length) => sum + length, value.length);
    if (lengths.length >= MAX_PENDING_TASKS || characters > MAX_CHARACTERS) return false;
    if (!this.#store.save(task.key, value)) this.#inMemory.set(task.key, task);
    return true;
  }

  /** Saves the task's tries. A task that any tab has removed meanwhile stays removed. */
  update(task: PendingTask): void {
    const { key } = task;
    if (!this.#inMemory.has(key) && this.#store.load(key) === null) return;
    if (this.#store.load(key) !== null && this.#store.save(key, JSON.stringify(task))) this.#inMemory.delete(key);
    else this.#inMemory.set(key, task);
  }

  remove({ key }: Pick<PendingTask, "key">): void {
    this.#inMemory.delete(key);
    this.#store.remove(key);
  }
}

export function triesOf({ tries }: PendingTask): number {
  return typeof tries === "number" ? tries : 0;
}

/** No longer tried: it is kept, and sent only when the user asks for it. */
export function isUnsent(task: PendingTask): boolean {
  return triesOf(task) >= MAX_TRIES;
}

function parse(value: string | null): PendingTask | null {
  try {
    const task = JSON.parse(value ?? "null") as Partial<PendingTask> | null;
    const complete = typeof task?.key === "string" && task.data !== undefined && typeof task.at === "number";
    return complete ? (task as PendingTask) : null;
  } catch {
    return null;
  }
}
