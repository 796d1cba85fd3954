import { NotificationError } from "../api/errors";
import { repeat } from "../internal/backoff";
import type { Store } from "../internal/store";
import type { Clock } from "../internal/timers";
import type { Task } from "../tasks/task";
import type { TaskList } from "../tasks/task-list";

export interface TaskWatcherOptions {
  list: TaskList;
  clock: Clock;
  random: () => number;
  /** Asks the service for the task, and lists it. */
  ask: (taskId: string, signal: AbortSignal) => Promise<unknown>;
}

/** Watched tasks: one that is not listed is asked for, until it is listed, unknown to the service or not watched. */
export class TaskWatcher {
  /** By id: how many watch it, and what ends asking for it. */
  readonly #watched = new Map<string, { count: number; asking: AbortController }>();
  readonly #options: TaskWatcherOptions;

  constructor(options: TaskWatcherOptions) {
    this.#options = options;
  }

  watch(id: string): Store<Task | undefined> {
    const { list } = this.#options;
    const subscribe = (listener: () => void): (() => void) => {
      const unsubscribe = list.subscribe(listener);
      this.#begin(id);
      return () => {
        unsubscribe();
        this.#end(id);
      };
    };
    return { subscribe, getSnapshot: () => list.get(id), getServerSnapshot: () => undefined };
  }

  #begin(id: string): void {
    const watched = this.#watched.get(id);
    if (watched !== undefined) return void (watched.count += 1);
    const asking = new AbortController();
    this.#watched.set(id, { count: 1, asking });
    void repeat(() => this.#ask(id, asking.signal), this.#options, asking.signal);
  }

  #end(id: string): void {
    const watched = this.#watched.get(id);
    if (watched === undefined || --watched.count > 0) return;
    this.#watched.delete(id);
    watched.asking.abort();
  }

  /** True once there is no reason to ask again. */
  async #ask(id: string, signal: AbortSignal): Promise<boolean> {
    const { list, ask } = this.#options;
    if (list.get(id) !== undefined) return true;
    try {
      await ask(id, signal);
      return true;
    } catch (error) {
      return !(error instanceof NotificationError && error.retryable);
    }
  }
}
