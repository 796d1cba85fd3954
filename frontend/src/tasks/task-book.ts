import type { Notification } from "../client";

/**
 * `kept`: not yet with the service; `unsent`: no longer tried, until somebody asks for it; `refused`: the service will
 * not have it.
 */
export type TaskState = "kept" | "unsent" | "sent" | "working" | "finished" | "failed" | "refused";

export interface Task {
  /** The Idempotency-Key of a task sent from this browser, else the task id. */
  key: string;
  taskId?: string;
  /** What was sent; unknown of tasks sent elsewhere. */
  data?: string;
  state: TaskState;
  /** The last words about it: progress, result or reason. */
  text?: string;
  /** Epoch milliseconds. */
  sentAt: number;
  changedAt: number;
}

export type Change =
  | { type: "added"; key: string; data: string; at: number }
  | { type: "accepted"; key: string; taskId: string; at: number }
  | { type: "refused"; key: string; reason: string; at: number }
  | { type: "unsent"; key: string; reason?: string; at: number }
  | { type: "retried"; key: string; at: number }
  | { type: "told"; news: Notification; at: number }
  | { type: "removed"; key: string };

export type Book = Map<string, Task>;

export const MAX_TASKS = 200;

const RANK: Record<TaskState, number> = { kept: 0, unsent: 0, sent: 1, working: 2, refused: 3, failed: 4, finished: 4 };

/** Applies one change. Changes may come in any order, and twice: a task never goes back. */
export function apply(book: Book, change: Change): void {
  switch (change.type) {
    case "added":
      return added(book, change);
    case "accepted":
      return accepted(book, change);
    case "refused":
      return move(book, change.key, "refused", change.reason, change.at);
    case "unsent":
      return move(book, change.key, "unsent", change.reason, change.at);
    case "retried":
      return move(book, change.key, "kept", "", change.at);
    case "told":
      return told(book, change);
    case "removed":
      book.delete(change.key);
  }
}

export function newestFirst(book: Book): Task[] {
  return [...book.values()].sort((a, b) => b.sentAt - a.sentAt);
}

export function knows(book: Book, taskId: string): boolean {
  return byTaskId(book, taskId) !== undefined;
}

/** Sent from this browser, with its end still to come. */
export function isAwaited(book: Book, taskId: string): boolean {
  const task = byTaskId(book, taskId);
  return task !== undefined && (task.state === "sent" || task.state === "working");
}

/** Takes over what another tab knows. */
export function merge(book: Book, tasks: Iterable<Task>): void {
  for (const task of tasks) {
    const known = book.get(task.key);
    if (known === undefined || isFurther(task, known)) book.set(task.key, { ...known, ...task });
  }
  trim(book);
}

function added(book: Book, { key, data, at }: Extract<Change, { type: "added" }>): void {
  if (book.has(key)) return;
  book.set(key, { key, data, state: "kept", sentAt: at, changedAt: at });
  trim(book);
}

/** News may be faster than the answer that says which task it is about. */
function accepted(book: Book, { key, taskId, at }: Extract<Change, { type: "accepted" }>): void {
  const task = book.get(key);
  if (task === undefined) return;
  const early = book.get(taskId);
  if (early !== undefined && early !== task) book.delete(taskId);
  book.set(key, { ...task, taskId });
  move(book, key, "sent", undefined, at);
  if (early !== undefined) move(book, key, early.state, early.text, early.changedAt);
}

function told(book: Book, { news, at }: Extract<Change, { type: "told" }>): void {
  const changedAt = news.time || at;
  const known = byTaskId(book, news.taskId);
  if (known === undefined) {
    const key = news.taskId;
    book.set(key, { key, taskId: key, state: "sent", sentAt: changedAt, changedAt });
    trim(book);
  }
  const state = news.status === "progress" ? "working" : news.status;
  move(book, known?.key ?? news.taskId, state, news.message, changedAt);
}

function move(book: Book, key: string, state: TaskState, text: string | undefined, changedAt: number): void {
  const task = book.get(key);
  if (task === undefined || RANK[state] < RANK[task.state]) return;
  if ((task.state === state || RANK[state] === RANK.kept) && task.changedAt > changedAt) return;
  book.set(key, { ...task, state, changedAt, ...(text !== undefined && { text }) });
}

/** Between being tried and not, a task goes forth and back: the later counts. */
function isFurther(one: Task, other: Task): boolean {
  const [rank, otherRank] = [RANK[one.state], RANK[other.state]];
  return rank > otherRank || (rank === otherRank && rank === RANK.kept && one.changedAt > other.changedAt);
}

function byTaskId(book: Book, taskId: string): Task | undefined {
  for (const task of book.values()) if (task.taskId === taskId) return task;
  return undefined;
}

/** The oldest go first, but none that is still to be sent. */
function trim(book: Book): void {
  if (book.size <= MAX_TASKS) return;
  const oldestFirst = newestFirst(book).reverse();
  for (const task of oldestFirst) {
    if (book.size <= MAX_TASKS) return;
    if (RANK[task.state] !== RANK.kept) book.delete(task.key);
  }
}
