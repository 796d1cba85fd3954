const FINAL_STATUSES = ["finished", "failed", "cancelled", "expired"] as const;

export type FinalStatus = (typeof FINAL_STATUSES)[number];
/** `progress` may be published many times for a task, one of the others once. */
export type Status = "progress" | FinalStatus;

/** What a service may say of a task, in a notification or as its status. Times are in epoch milliseconds. */
export interface TaskFacts {
  /** Absent: `default`. */
  type?: string;
  /** The result's data: any JSON. */
  data?: unknown;
  /** The message or the data did not fit: the whole result has to be asked for. */
  truncated?: true;
  /** The task's data, where it is short; otherwise `title`. */
  input?: unknown;
  title?: string;
  /** The attempt that this is about, from 1; with `nextAttemptAt` the one that comes next. */
  attempt?: number;
  maxAttempts?: number;
  startedAt?: number;
  /** 0 to 100. */
  percent?: number;
  nextAttemptAt?: number;
  /** Why the task failed, in the handler's words for users. */
  error?: string;
  /** Why the task failed, as a code: `max_attempts`, `timeout` and others. */
  reason?: string;
}

/** A notification about a task, as the processor published it. `time` is in epoch milliseconds (UTC). */
export interface Notification extends TaskFacts {
  taskId: string;
  status: Status;
  message: string;
  time: number;
}

/** A message of the topic: the user has read the notifications until `readUntil`, in epoch milliseconds. */
interface ReadMarker {
  readUntil: number;
}

/**
 * How a notification reached the client: `live` over the stream; `catch-up` from the history, missed while
 * disconnected; `history` from before this browser's first client (to be listed, not announced).
 */
export type Source = "live" | "catch-up" | "history";
export interface SourcedNotification extends Notification {
  source: Source;
}

/** https://tc39.es/ecma262/#sec-time-values-and-time-range */
const MAX_TIME = 8.64e15;

const isText = (value: unknown): boolean => typeof value === "string" && value !== "";
const isPresent = (value: unknown): boolean => value !== undefined && value !== null;
const isCount = (value: unknown): boolean => Number.isInteger(value) && (value as number) > 0;
/** A time that a Date can hold, in epoch milliseconds. */
export const isTime = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Math.abs(value as number) <= MAX_TIME;
const isPercent = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= 100;

const FACTS: Record<keyof TaskFacts, (value: unknown) => boolean> = {
  type: isText,
  data: isPresent,
  truncated: (value) => value === true,
  input: isPresent,
  title: isText,
  attempt: isCount,
  maxAttempts: isCount,
  startedAt: (value) => isTime(value) && value > 0,
  percent: isPercent,
  nextAttemptAt: (value) => isTime(value) && value > 0,
  error: isText,
  reason: isText,
};

/** The known fields of `value` that are valid. Whatever else it has is ignored. */
export function parseFacts(value: object): TaskFacts {
  const valid = Object.entries(FACTS).filter(([name, isValid]) => isValid((value as Record<string, unknown>)[name]));
  return Object.fromEntries(valid.map(([name]) => [name, (value as Record<string, unknown>)[name]]));
}

/** Null where `value` is not a notification. */
export function parseNotification(value: unknown): Notification | null {
  if (typeof value !== "object" || value === null) return null;
  const { taskId, status, message, time } = value as Record<string, unknown>;
  if (typeof taskId !== "string" || taskId === "" || typeof message !== "string") return null;
  if (!isStatus(status)) return null;
  return { taskId, status, message, time: isTime(time) ? time : 0, ...parseFacts(value) };
}

/** Undefined where `value` has no read marker. */
export function parseReadUntil(value: unknown): number | undefined {
  const readUntil = (value as Partial<ReadMarker> | null)?.readUntil;
  return isTime(readUntil) && readUntil >= 0 ? readUntil : undefined;
}

const PLAIN_TEXT_PREFIX = "topic:";

/** Sent with `NOTIFICATION_FORMAT=text`: it names no task, and its time is this machine's. */
export function isPlainText({ taskId }: Notification): boolean {
  return taskId.startsWith(PLAIN_TEXT_PREFIX);
}

/** Whether the notification history returns it by its task id: neither progress nor plain text. */
export function isInHistory(notification: Notification): boolean {
  return notification.status !== "progress" && !isPlainText(notification);
}

/**
 * Parses an item of the topic. With `NOTIFICATION_FORMAT=text` it has no id, only the message of a finished task;
 * its position in the topic replaces the id, so that a repeated item is recognised.
 */
export function parseItem(text: string, position: string, now: number): Notification {
  return (
    parseNotification(parseJson(text)) ?? {
      taskId: PLAIN_TEXT_PREFIX + position,
      status: "finished",
      message: text,
      time: now,
    }
  );
}

/** A JSON object that is not a notification: a read marker, or a message that this version does not know. */
export function parseOtherMessage(text: string): object | null {
  const value = parseJson(text);
  return typeof value === "object" && value !== null && parseNotification(value) === null ? value : null;
}

/** Notifications with the same key are duplicates. Of progress, which a task has often, content and time count too. */
export function keyOf({ taskId, status, message, percent, attempt, time }: Notification): string {
  if (status !== "progress") return `${taskId}\n${status}`;
  return [taskId, status, message, percent, attempt, time].join("\n");
}

export function isFinalStatus(status: unknown): status is FinalStatus {
  return FINAL_STATUSES.some((each) => each === status);
}

function isStatus(value: unknown): value is Status {
  return value === "progress" || isFinalStatus(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
