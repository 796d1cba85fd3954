import {
  applyChange,
  findByTaskId,
  isActive,
  isUnsent,
  mergeTasks,
  newestFirst,
  PendingTasks,
  TaskStorage,
  TaskSubmitter,
  UnmatchedNotifications,
  type Http,
  type Notification,
  type PendingTask,
  type TabCoordinator,
  type Task,
  type TaskChange,
  type TaskOptions,
  type TaskStore,
} from "notification-api-client";
import { shallowReactive, shallowRef } from "vue";
import { route, type Config } from "../platform/config";
import type { UserStorage } from "../platform/user-storage";
import { isSameError, unsentReason, type Delay } from "../text/status-text";

/** A user's list of tasks, and what is still to be sent. Each change is passed on to the user's other tabs. */
export class UserTasks {
  readonly store: TaskStore = shallowReactive(new Map());
  /** Why pending tasks are not sent now; null where they are. */
  readonly delay = shallowRef<Delay | null>(null);
  readonly #unmatched = new UnmatchedNotifications(this.store, (change) => this.#notified(change));
  /** Called once the task of the notification is listed. */
  readonly #onListed = new Map<Notification, (task: Task) => void>();
  readonly #tabs: TabCoordinator;
  readonly #storage: TaskStorage;
  readonly #pending: PendingTasks;
  readonly #submitter: TaskSubmitter;
  #lastTime = 0;

  constructor({ taskUrl }: Config, http: Http, storage: UserStorage, tabs: TabCoordinator, onSignedOut: () => void) {
    this.#tabs = tabs;
    this.#storage = new TaskStorage(storage.value("tasks"), this.store);
    this.#pending = new PendingTasks(storage.keyValueStore("pending-tasks"));
    const withLock = (action: () => Promise<void>) => tabs.withLock("submit", action);
    this.#submitter = new TaskSubmitter(http, route(taskUrl, "task"), this.#pending, withLock, {
      accepted: ({ key }, taskId) => this.change({ type: "accepted", key, taskId, at: Date.now() }),
      rejected: ({ key }, reason) => this.change({ type: "rejected", key, reason, at: Date.now() }),
      unsent: ({ key }, error) =>
        this.change({ type: "unsent", key, reason: unsentReason(error), at: this.#nextTime() }),
      delayed: (error) => this.#onDelayed(error),
      resumed: () => (this.delay.value = null),
      signedOut: onSignedOut,
    });
  }

  load(): void {
    this.#storage.load();
    for (const task of this.#pending.all()) this.#restore(task);
  }

  /** `data` is any JSON. False where the limit of pending tasks is reached. */
  send(data: unknown, options: TaskOptions = {}): boolean {
    const task = { key: crypto.randomUUID(), data, options, at: this.#nextTime() };
    this.change({ type: "added", ...task });
    const isAdded = this.#submitter.add(task);
    if (!isAdded) this.change({ type: "removed", key: task.key });
    return isAdded;
  }

  remove(key: string): void {
    this.change({ type: "removed", key });
  }

  /** Those that were accepted and have not ended, the newest first. */
  active(): Task[] {
    return newestFirst(this.store).filter(isActive);
  }

  /** Sends the unsent task of this key, or all of them; false where this tab has none. */
  resend(key?: string): boolean {
    const tasks = this.#submitter.resend(key);
    for (const task of tasks) this.change({ type: "retried", key: task.key, at: this.#nextTime() });
    return tasks.length > 0;
  }

  /** Sends at once, without waiting for the end of a delay. */
  flush(): void {
    this.#submitter.flush();
  }

  /** Lists the task, in a moment at most, and then calls `onListed`. */
  notified(notification: Notification, onListed: (task: Task) => void): void {
    this.#onListed.set(notification, onListed);
    this.#unmatched.add({ type: "notified", notification, at: Date.now() });
  }

  /** Applies a change in all tabs. */
  change(change: TaskChange): void {
    this.apply(change);
    this.#tabs.send({ type: "change", change });
  }

  /** Applies a change of this tab or another one. */
  apply(change: TaskChange): void {
    applyChange(this.store, change);
    if (change.type === "removed") this.#pending.remove(change);
    if (change.type === "accepted") this.#unmatched.accepted(change.taskId);
    if (this.#tabs.isLeader) this.#storage.saveSoon();
  }

  merge(tasks: Task[]): void {
    mergeTasks(this.store, tasks);
  }

  /** Stops sending and saves; the next page continues from there. */
  close(): void {
    this.#submitter.close();
    this.#unmatched.close();
    if (this.#tabs.isLeader) this.#storage.saveNow();
  }

  clear(): void {
    this.#storage.clear();
    this.store.clear();
  }

  #notified(change: Extract<TaskChange, { type: "notified" }>): void {
    const { notification } = change;
    this.apply(change);
    const task = findByTaskId(this.store, notification.taskId);
    if (task !== undefined) this.#onListed.get(notification)?.(task);
    this.#onListed.delete(notification);
  }

  #onDelayed(error: unknown): void {
    const { memoryOnly } = this.#pending;
    const { value } = this.delay;
    if (value?.memoryOnly !== memoryOnly || !isSameError(value.error, error)) this.delay.value = { error, memoryOnly };
  }

  /** The saved list may be a moment older than the saved pending tasks. */
  #restore(task: PendingTask): void {
    const { key } = task;
    applyChange(this.store, { type: "added", ...task });
    const unsent = isUnsent(task);
    if (unsent === (this.store.get(key)?.state === "unsent")) return;
    applyChange(this.store, { type: unsent ? "unsent" : "retried", key, at: this.#nextTime() });
  }

  /** Tasks that are sent together keep their order. */
  #nextTime(): number {
    return (this.#lastTime = Math.max(Date.now(), this.#lastTime + 1));
  }
}
