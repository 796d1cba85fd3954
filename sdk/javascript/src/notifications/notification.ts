const STATUSES = ["finished", "failed", "progress"] as const;

/** `progress` may be published many times for a task, `finished` and `failed` once. */
export type Status = (typeof STATUSES)[number];

/** A notification about a task, as the processor published it. `time` is in epoch milliseconds (UTC). */
export interface Notification {
  taskId: string;
  status: Status;
  message: string;
  time: number;
}

/**
 * How a notification reached the client: `live` over the stream; `catch-up` from the history, missed while
 * disconnected; `history` from before this browser's first client (to be listed, not announced).
 */
export type Source = "live" | "catch-up" | "history";
export type ReceivedNotification = Notification & { source: Source };

/** Null where `value` is not a notification. */
export function parseNotification(value: unknown): Notification | null {
  if (typeof value !== "object" || value === null) return null;
  const { taskId, status, message, time } = value as Record<string, unknown>;
  if (typeof taskId !== "string" || taskId === "" || typeof message !== "string") return null;
  if (!isStatus(status)) return null;
  return { taskId, status, message, time: typeof time === "number" ? time : 0 };
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
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null;
  }
  return (
    parseNotification(parsed) ?? { taskId: PLAIN_TEXT_PREFIX + position, status: "finished", message: text, time: now }
  );
}

/** Notifications with the same key are duplicates. A task has many progress notifications: their text counts too. */
export function keyOf({ taskId, status, message }: Notification): string {
  return status === "progress" ? `${taskId}\n${status}\n${message}` : `${taskId}\n${status}`;
}

function isStatus(value: unknown): value is Status {
  return STATUSES.some((status) => status === value);
}
