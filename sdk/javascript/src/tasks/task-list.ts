import { Listeners, type Store } from "../internal/store";
import { isActive, type Task } from "./task";
import { applyChange, mergeTasks, newestFirst, type TaskChange, type TaskStore } from "./task-store";

const EMPTY: readonly Task[] = [];

/** The listed tasks as a store, the newest first. Sorted and indexed only when somebody looks at it. */
export class TaskList implements Store<readonly Task[]> {
  readonly map: TaskStore = new Map();
  readonly #listeners = new Listeners();
  readonly subscribe: Store<readonly Task[]>["subscribe"] = this.#listeners.subscribe;
  readonly getServerSnapshot = (): readonly Task[] => EMPTY;
  #snapshot = EMPTY;
  #byTaskId = new Map<string, Task>();
  #isOutdated = false;

  readonly getSnapshot = (): readonly Task[] => {
    if (this.#isOutdated) this.#update();
    return this.#snapshot;
  };

  /** The task of this key or task id. */
  readonly get = (id: string): Task | undefined => {
    this.getSnapshot();
    return this.map.get(id) ?? this.#byTaskId.get(id);
  };

  apply(change: TaskChange): void {
    applyChange(this.map, change);
    this.#changed();
  }

  merge(tasks: Iterable<Task>): void {
    mergeTasks(this.map, tasks);
    this.#changed();
  }

  clear(): void {
    this.map.clear();
    this.#changed();
  }

  /** Those that were accepted and have not ended, the newest first. */
  active(): Task[] {
    return this.getSnapshot().filter(isActive);
  }

  #changed(): void {
    this.#isOutdated = true;
    this.#listeners.notify();
  }

  #update(): void {
    this.#isOutdated = false;
    const tasks = newestFirst(this.map);
    if (isSameList(tasks, this.#snapshot)) return;
    this.#snapshot = Object.freeze(tasks);
    this.#byTaskId = new Map(tasks.flatMap((task) => (task.taskId === undefined ? [] : [[task.taskId, task]])));
  }
}

/** Whether both have the identical elements. */
export function isSameList(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((each, index) => each === other[index]);
}
