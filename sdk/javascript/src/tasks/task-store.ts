import type { Notification } from "../notifications/notification";

/**
 * `pending`, `unsent` and `rejected` exist in the browser only. `pending`: not yet accepted by the service; `unsent`:
 * no longer tried, until the user asks for it; `rejected`: the service will never accept it.
 */
export type TaskState = "pending" | "unsent" | "queued" | "running" | "finished" | "failed" | "rejected";

export interface Task {
  /** The Idempotency-Key of a task sent from this browser, else the task id. */
  key: string;
  taskId?: string;
  /** What was sent; unknown for tasks that were sent elsewhere. */
  data?: string;
  state: TaskState;
  /** The latest message about it: progress, result or reason. */
  message?: string;
  /** Epoch milliseconds. */
  sentAt: number;
  changedAt: number;
}

export type TaskChange =
  | { type: "added"; key: string; data: string; at: number }
  | { type: "accepted"; key: string; taskId: string; at: number }
  | { type: "rejected"; key: string; reason: string; at: number }
  | { type: "unsent"; key: string; reason?: string; at: number }
  | { type: "retried"; key: string; at: number }
  | { type: "notified"; notification: Notification; at: number }
  | { type: "removed"; key: string };

/** The tasks that are listed, by key. Any `Map` will do, such as a framework's reactive one. */
export type TaskStore = Map<string, Task>;

export const MAX_TASKS = 200;

/** A task moves to a state of the same or a higher rank only. */
const RANK: Record<TaskState, number> = {
  pending: 0,
  unsent: 0,
  queued: 1,
  running: 2,
  rejected: 3,
  failed: 4,
  finished: 4,
};

/** Applies one change. Changes may arrive in any order, and twice: a task never goes back to an earlier state. */
export function applyChange(store: TaskStore, change: TaskChange): void {
  switch (change.type) {
    case "added":
      return add(store, change);
    case "accepted":
      return accept(store, change);
    case "rejected":
      return move(store, change.key, "rejected", change.reason, change.at);
    case "unsent":
      return move(store, change.key, "unsent", change.reason, change.at);
    case "retried":
      return move(store, change.key, "pending", "", change.at);
    case "notified":
      return notify(store, change);
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
  return task !== undefined && (task.state === "queued" || task.state === "running");
}

/** Adopts from another tab's tasks what is newer there. */
export function mergeTasks(store: TaskStore, tasks: Iterable<Task>): void {
  for (const task of tasks) {
    const known = store.get(task.key);
    if (known === undefined || isNewer(task, known)) store.set(task.key, { ...known, ...task });
  }
  trim(store);
}

function add(store: TaskStore, { key, data, at }: Extract<TaskChange, { type: "added" }>): void {
  if (store.has(key)) return;
  store.set(key, { key, data, state: "pending", sentAt: at, changedAt: at });
  trim(store);
}

/** A notification may arrive before the answer that says which task it belongs to: then the two entries are merged. */
function accept(store: TaskStore, { key, taskId, at }: Extract<TaskChange, { type: "accepted" }>): void {
  const task = store.get(key);
  if (task === undefined) return;
  const unmatched = store.get(taskId);
  if (unmatched !== undefined && unmatched !== task) store.delete(taskId);
  store.set(key, { ...task, taskId });
  move(store, key, "queued", undefined, at);
  if (unmatched !== undefined) move(store, key, unmatched.state, unmatched.message, unmatched.changedAt);
}

function notify(store: TaskStore, { notification, at }: Extract<TaskChange, { type: "notified" }>): void {
  const { taskId, status, message, time } = notification;
  const changedAt = time || at;
  const known = findByTaskId(store, taskId);
  if (known === undefined) {
    store.set(taskId, { key: taskId, taskId, state: "queued", sentAt: changedAt, changedAt });
    trim(store);
  }
  move(store, known?.key ?? taskId, status === "progress" ? "running" : status, message, changedAt);
}

function move(store: TaskStore, key: string, state: TaskState, message: string | undefined, changedAt: number): void {
  const task = store.get(key);
  if (task === undefined || RANK[state] < RANK[task.state]) return;
  if ((task.state === state || RANK[state] === RANK.pending) && task.changedAt > changedAt) return;
  store.set(key, { ...task, state, changedAt, ...(message !== undefined && { message }) });
}

/** A task can change between `pending` and `unsent` several times: there the later change counts. */
function isNewer(one: Task, other: Task): boolean {
  const [rank, otherRank] = [RANK[one.state], RANK[other.state]];
  return rank > otherRank || (rank === otherRank && rank === RANK.pending && one.changedAt > other.changedAt);
}

function findByTaskId(store: TaskStore, taskId: string): Task | undefined {
  for (const task of store.values()) if (task.taskId === taskId) return task;
  return undefined;
}

/** Removes the oldest tasks, but none that is still to be sent. */
function trim(store: TaskStore): void {
  if (store.size <= MAX_TASKS) return;
  const oldestFirst = newestFirst(store).reverse();
  for (const task of oldestFirst) {
    if (store.size <= MAX_TASKS) return;
    if (RANK[task.state] !== RANK.pending) store.delete(task.key);
  }
}
