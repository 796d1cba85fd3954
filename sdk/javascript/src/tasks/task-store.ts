import type { ErrorData } from "../api/errors";
import type { TaskStatus } from "../api/task-status";
import type { Notification } from "../notifications/notification";
import {
  combine,
  isActive,
  isLocal,
  isSameTask,
  taskOfNotification,
  taskOfStatus,
  type Task,
  type TaskOptions,
  type TaskState,
} from "./task";

export type TaskChange =
  | ({ type: "added"; key: string; data: unknown; at: number } & { options?: TaskOptions })
  | { type: "accepted"; key: string; taskId: string; at: number }
  | { type: "rejected"; key: string; error: ErrorData; at: number }
  /** Without its error, where only that it was given up is known. */
  | { type: "unsent"; key: string; error?: ErrorData; at: number }
  | { type: "retried"; key: string; at: number }
  | { type: "notified"; notification: Notification; at: number }
  /** The service was asked for the task's status. */
  | { type: "status"; status: TaskStatus; at: number }
  /** The service no longer knows the task. */
  | { type: "forgotten"; key: string; at: number }
  | { type: "removed"; key: string };

type Moved = Extract<TaskChange, { type: "rejected" | "unsent" | "retried" | "forgotten" }>;

/** The tasks that are listed, by key. */
export type TaskStore = Map<string, Task>;

/** Above the 700 notifications a user that the service's history keeps. */
export const MAX_TASKS = 1_000;

/** Applies one change. Changes may arrive in any order, and twice: a task never goes back to an earlier state. */
export function applyChange(store: TaskStore, change: TaskChange): void {
  switch (change.type) {
    case "added":
      return add(store, change);
    case "accepted":
      return accept(store, change);
    case "rejected":
    case "unsent":
      return move(store, change, change.type, failed(change.error));
    case "retried":
      return move(store, change, "pending", { message: "" });
    case "forgotten":
      return move(store, change, "unknown", {});
    case "notified":
      return put(store, taskOfNotification(change.notification, change.at));
    case "status":
      return put(store, taskOfStatus(change.status, change.at));
    case "removed":
      store.delete(change.key);
  }
}

export function newestFirst(store: TaskStore): Task[] {
  return [...store.values()].sort((a, b) => b.sentAt - a.sentAt);
}

export function hasTaskId(store: TaskStore, taskId: string): boolean {
  return findByTaskId(store, taskId) !== undefined;
}

/** Whether the task was accepted and has not ended. */
export function isAwaited(store: TaskStore, taskId: string): boolean {
  const task = findByTaskId(store, taskId);
  return task !== undefined && isActive(task);
}

/** Adopts from another tab's tasks, or from storage, what is newer there. */
export function mergeTasks(store: TaskStore, tasks: Iterable<Task>): void {
  for (const task of tasks) merge(store, task);
  trim(store);
}

function findByTaskId(store: TaskStore, taskId: string): Task | undefined {
  const listed = store.get(taskId);
  if (listed !== undefined) return listed;
  for (const task of store.values()) if (task.taskId === taskId) return task;
  return undefined;
}

/** One tab may know a task by its id only, and another by its key: then the key is kept. */
function merge(store: TaskStore, task: Task): void {
  const { key, taskId = key } = task;
  const unmatched = taskId === key ? undefined : store.get(taskId);
  if (unmatched !== undefined) store.delete(taskId);
  const known = store.get(key) ?? findByTaskId(store, taskId);
  const merged = known === undefined ? task : combine(known, task);
  set(store, unmatched === undefined ? merged : combine(merged, unmatched));
}

function add(store: TaskStore, { key, data, at, options }: Extract<TaskChange, { type: "added" }>): void {
  if (store.has(key)) return;
  store.set(key, { ...options, key, data, state: "pending", sentAt: at, changedAt: at });
  trim(store);
}

/** A notification may arrive before the answer that says which task it belongs to: then the two entries are merged. */
function accept(store: TaskStore, { key, taskId, at }: Extract<TaskChange, { type: "accepted" }>): void {
  const task = store.get(key);
  if (task === undefined) return;
  const unmatched = key === taskId ? undefined : store.get(taskId);
  if (unmatched !== undefined) store.delete(taskId);
  const known = { ...withoutError(task), taskId };
  const accepted = combine(known, { ...known, state: "queued", changedAt: at });
  set(store, unmatched === undefined ? accepted : combine(accepted, unmatched));
}

/** Updates the task of this id, or lists it: it was sent elsewhere. */
function put(store: TaskStore, task: Task): void {
  const known = findByTaskId(store, task.key);
  set(store, known === undefined ? task : combine(known, task));
  if (known === undefined) trim(store);
}

function move(store: TaskStore, { key, at }: Moved, state: TaskState, fields: Partial<Task>): void {
  const task = store.get(key);
  if (task === undefined) return;
  const known = withoutError(task);
  set(store, combine(known, { ...known, ...fields, state, changedAt: at }));
}

function failed(error: ErrorData | undefined): Partial<Task> {
  return error === undefined ? {} : { message: error.message, submissionError: error };
}

/** Another state does not keep the error of a submission. */
function withoutError(task: Task): Task {
  return Object.fromEntries(Object.entries(task).filter(([name]) => name !== "submissionError")) as unknown as Task;
}

/** A task that has not changed stays the identical object, so that nothing that shows it is rendered again. */
function set(store: TaskStore, task: Task): void {
  const known = store.get(task.key);
  if (known === undefined || !isSameTask(known, task)) store.set(task.key, task);
}

/** Removes the oldest tasks, but none that is still to be sent. */
function trim(store: TaskStore): void {
  if (store.size <= MAX_TASKS) return;
  const oldestFirst = newestFirst(store).reverse();
  for (const task of oldestFirst) {
    if (store.size <= MAX_TASKS) return;
    if (!isLocal(task)) store.delete(task.key);
  }
}
