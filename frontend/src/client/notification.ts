import type { Notification, Status } from "./types";

const STATUSES: readonly string[] = ["finished", "failed", "progress"] satisfies Status[];

/** Reads one notification; null where it is none. */
export function asNotification(value: unknown): Notification | null {
  if (typeof value !== "object" || value === null) return null;
  const { taskId, status, message, time } = value as Record<string, unknown>;
  if (typeof taskId !== "string" || taskId === "" || typeof message !== "string") return null;
  if (typeof status !== "string" || !STATUSES.includes(status)) return null;
  return { taskId, status: status as Status, message, time: typeof time === "number" ? time : 0 };
}

const ANONYMOUS = "topic:";

/** It names no task, and its time is this machine's. */
export function isBareText({ taskId }: Notification): boolean {
  return taskId.startsWith(ANONYMOUS);
}

/** The service records how tasks end, and tells it by their ids: neither progress, nor what came as bare text. */
export function isRecorded(news: Notification): boolean {
  return news.status !== "progress" && !isBareText(news);
}

/**
 * Reads what came over the topic. With `NOTIFICATION_FORMAT=text` there is no id, only the message of a
 * finished task: its place in the topic stands in, so that the same item seen twice is told once.
 */
export function parseItem(text: string, position: string, now: number): Notification {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null;
  }
  return asNotification(parsed) ?? { taskId: ANONYMOUS + position, status: "finished", message: text, time: now };
}

/** Two notifications with the same key are the same news. Progress repeats, so its text counts too. */
export function keyOf({ taskId, status, message }: Notification): string {
  return status === "progress" ? `${taskId}\n${status}\n${message}` : `${taskId}\n${status}`;
}
