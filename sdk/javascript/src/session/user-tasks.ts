import type { Notification } from "../notifications/notification";
import type { Task } from "../tasks/task";
import { TaskStorage } from "../tasks/task-storage";
import type { TaskChange } from "../tasks/task-store";
import { UnmatchedNotifications } from "../tasks/unmatched-notifications";
import type { SessionContext } from "./context";

/** Keeps a user's list of tasks: each change is passed on to the user's other tabs, and the leading tab saves it. */
export class UserTasks {
  readonly #unmatched: UnmatchedNotifications;
  /** Called once the task of the notification is listed. */
  readonly #onListed = new Map<Notification, () => void>();
  readonly #storage: TaskStorage;
  readonly #context: SessionContext;

  constructor(context: SessionContext) {
    const { clock, state, storage } = context;
    this.#context = context;
    this.#unmatched = new UnmatchedNotifications(state.tasks.map, clock, (change) => this.#notified(change));
    this.#storage = new TaskStorage(storage.value("tasks"), state.tasks.map, clock);
  }

  load(): void {
    this.#context.state.tasks.merge(this.#storage.load());
  }

  /** Lists the task, in a moment at most, and then calls `onListed`. */
  notified(notification: Notification, onListed: () => void): void {
    this.#onListed.set(notification, onListed);
    this.#unmatched.add({ type: "notified", notification, at: this.#context.clock.now() });
  }

  /** Applies a change in all tabs. */
  change(change: TaskChange): void {
    this.apply(change);
    this.#context.tabs.send({ type: "change", change });
  }

  /** Applies a change of this tab or another one. */
  apply(change: TaskChange): void {
    this.#context.state.tasks.apply(change);
    if (change.type === "removed") this.#context.pending.remove(change);
    if (change.type === "accepted") this.#unmatched.accepted(change.taskId);
    if (this.#context.tabs.isLeader) this.#storage.saveSoon();
  }

  merge(tasks: Task[]): void {
    this.#context.state.tasks.merge(tasks);
  }

  /** Saves; the next page continues from there. */
  stop(): void {
    this.#unmatched.close();
    if (this.#context.tabs.isLeader) this.#storage.saveNow();
  }

  clear(): void {
    this.#storage.clear();
    this.#context.state.tasks.clear();
  }

  #notified(change: Extract<TaskChange, { type: "notified" }>): void {
    this.apply(change);
    this.#onListed.get(change.notification)?.();
    this.#onListed.delete(change.notification);
  }
}
