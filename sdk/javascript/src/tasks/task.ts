import type { ErrorData } from "../api/errors";
import type { TaskStatus } from "../api/task-status";
import { defined } from "../internal/defined";
import { isFinalStatus, type Notification, type TaskFacts } from "../notifications/notification";

/**
 * `pending`, `unsent`, `rejected` and `unknown` exist in the browser only. `pending`: not yet accepted by the service;
 * `unsent`: no longer tried, until the user asks for it; `rejected`: the service will never accept it; `unknown`: the
 * service no longer knows the task, and no end was notified.
 */
export type TaskState =
  | "pending"
  | "unsent"
  | "queued"
  | "running"
  | "unknown"
  | "rejected"
  | "finished"
  | "failed"
  | "cancelled"
  | "expired";

/** What the user sent with the data. */
export interface TaskOptions {
  type?: string;
  /** 0 to 900: how long the task waits before it may start. */
  delaySeconds?: number;
  /** 1 to 86,400: how long after that the task may start. */
  ttlSeconds?: number;
}

export interface Task extends TaskOptions, Omit<TaskFacts, "data" | "input"> {
  /** The Idempotency-Key of a task sent from this browser, else the task id. */
  key: string;
  taskId?: string;
  /** What was sent: any JSON. Unknown for long tasks that were sent elsewhere, which have a `title`. */
  data?: unknown;
  state: TaskState;
  /** The latest message about it: progress, result or reason. */
  message?: string;
  /** The result's data. */
  result?: unknown;
  cancelRequestedAt?: number;
  /** Why it is `rejected` or `unsent`. */
  submissionError?: ErrorData;
  /** Epoch milliseconds. */
  sentAt: number;
  changedAt: number;
}

/** A task moves to a state of the same or a higher rank only. */
const RANK: Record<TaskState, number> = {
  pending: 0,
  unsent: 0,
  queued: 1,
  running: 1,
  unknown: 2,
  rejected: 3,
  finished: 4,
  failed: 4,
  cancelled: 4,
  expired: 4,
};
/** Of two states with the same rank and time, the later one here counts, so that the order of arrival does not. */
const STATES = Object.keys(RANK) as TaskState[];

export function isTaskState(value: unknown): value is TaskState {
  return STATES.some((state) => state === value);
}

/** Not yet accepted by the service. */
export function isLocal({ state }: Task): boolean {
  return RANK[state] === RANK.pending;
}

/** Accepted, and its end is not known. */
export function isActive({ state }: Task): boolean {
  return RANK[state] === RANK.queued;
}

/** It has ended in the service. A final state beats every other. */
export function isFinal({ state }: Task): boolean {
  return RANK[state] === RANK.finished;
}

/** Positive where `one` is the later of two states of the same task. */
export function compareStates(one: Task, other: Task): number {
  const [ranks, otherRanks] = [order(one), order(other)];
  const differences = ranks.map((rank, index) => rank - (otherRanks[index] ?? 0));
  return differences.find((difference) => difference !== 0) ?? 0;
}

/** An active task goes from one attempt to the next; in the other states the time decides. */
function order(task: Task): number[] {
  const { state, changedAt, attempt = 0, percent = 0 } = task;
  const stage = STATES.indexOf(state);
  return [RANK[state], ...(isActive(task) ? [attempt, stage, changedAt, percent] : [changedAt, stage])];
}

/** The same task with what both know of it: the later state, and everything that does not depend on the state. */
export function combine(known: Task, event: Task): Task {
  const [later, earlier] = compareStates(event, known) >= 0 ? [event, known] : [known, event];
  const data = known.data ?? event.data;
  const title = known.title ?? event.title;
  return {
    ...identityOf(earlier),
    ...identityOf(known),
    ...carriedOver(earlier, later),
    ...later,
    ...(isFinal(later) && endOf(earlier, later)),
    key: known.key,
    sentAt: known.key === known.taskId ? Math.min(known.sentAt, event.sentAt) : known.sentAt,
    ...defined({ data, title }),
  };
}

/** What stays true whatever the task's state. */
function identityOf({ taskId, type, delaySeconds, ttlSeconds, cancelRequestedAt }: Task): Partial<Task> {
  return defined({ taskId, type, delaySeconds, ttlSeconds, cancelRequestedAt });
}

/** A later state of the same attempt, or the same end, keeps what it does not mention. */
function carriedOver(earlier: Task, later: Task): Partial<Task> {
  const { message, percent, result, truncated, error, reason, attempt, maxAttempts, startedAt } = earlier;
  if (isFinal(later))
    return later.state === earlier.state ? defined({ message, result, truncated, error, reason }) : {};
  if (!isActive(earlier)) return {};
  const isSameAttempt = (later.attempt ?? attempt) === attempt;
  return isSameAttempt ? defined({ message, percent, attempt, maxAttempts, startedAt }) : defined({ maxAttempts });
}

/** An end is about the last attempt. It may be known from the task's status, which mentions less, and later. */
function endOf(earlier: Task, later: Task): Partial<Task> {
  // All of them are above zero, where they are known.
  const largest = (one = 0, other = 0): number | undefined => Math.max(one, other) || undefined;
  return defined({
    attempt: largest(earlier.attempt, later.attempt),
    maxAttempts: largest(earlier.maxAttempts, later.maxAttempts),
    startedAt: largest(earlier.startedAt, later.startedAt),
    changedAt: earlier.state === later.state ? Math.min(earlier.changedAt, later.changedAt) : later.changedAt,
  });
}

/** A task as a notification describes it. `at`: when it arrived, where it has no time. */
export function taskOfNotification({ taskId, status, message, time, ...facts }: Notification, at: number): Task {
  const changedAt = time || at;
  const progress = facts.nextAttemptAt === undefined ? "running" : "queued";
  const state = status === "progress" ? progress : status;
  return { ...described(facts), key: taskId, taskId, state, message, sentAt: sentAtOf(taskId, changedAt), changedAt };
}

/** The notification of a task's end; null before its end. */
export function notificationOf(task: Task): Notification | null {
  const { key, taskId = key, state, message = "", changedAt, data, result } = task;
  if (!isFinalStatus(state)) return null;
  const { type, title, truncated, attempt, maxAttempts, startedAt, error, reason } = task;
  const facts = { type, title, truncated, attempt, maxAttempts, startedAt, error, reason, input: data, data: result };
  return { taskId, status: state, message, time: changedAt, ...defined(facts) };
}

/** Whether both have the same content. */
export function isSameTask(one: Task, other: Task): boolean {
  const names = Object.keys(one) as (keyof Task)[];
  return names.length === Object.keys(other).length && names.every((name) => isSameValue(one[name], other[name]));
}

function isSameValue(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true;
  const areObjects = typeof one === "object" && typeof other === "object";
  return areObjects && JSON.stringify(one) === JSON.stringify(other);
}

/** A task as its status describes it. `at`: when it was asked for. */
export function taskOfStatus({ taskId, status, updatedAt, cancelRequestedAt, ...facts }: TaskStatus, at: number): Task {
  const sentAt = sentAtOf(taskId, updatedAt || at);
  const { message } = facts;
  return {
    ...described(facts),
    ...defined({ message, cancelRequestedAt }),
    key: taskId,
    taskId,
    state: status,
    sentAt,
    changedAt: updatedAt,
  };
}

function described({ input, data, ...facts }: TaskFacts & { message?: string }): Omit<TaskFacts, "data" | "input"> {
  return { ...facts, ...defined({ data: input, result: data }) };
}

/** The time of a UUIDv7 is when the service accepted the task. */
function sentAtOf(taskId: string, changedAt: number): number {
  if (!/^[\da-f]{8}-[\da-f]{4}-7/.test(taskId)) return changedAt;
  return Math.min(changedAt, Number.parseInt(taskId.slice(0, 8) + taskId.slice(9, 13), 16));
}
