import { isActive, type Task } from "notification-api-client";
import { TASK_STATUS_TEXT, unsentReason } from "./status-text";
import { timeUntil } from "./time-text";

/** More than a row shows. */
const MAX_TITLE = 200;
const MESSAGE_PREFIX = /^(Finished|Failed|Cancelled|Expired) task: /;

const REASON_TEXT: Record<string, string> = {
  permanent: "The task cannot succeed, so it was not tried again.",
  max_attempts: "Every permitted attempt failed.",
  timeout: "It ran for longer than it may.",
  unknown_type: "No handler is registered for its type.",
  malformed: "The service could not read the task.",
  poison_pill: "It repeatedly ended the process that ran it.",
  internal_error: "The service had an internal error.",
  result_too_large: "Its result is too large.",
};

/** The JSON of `data`, formatted; a text as it is. */
export function jsonText(data: unknown): string {
  return typeof data === "string" ? data : JSON.stringify(data, null, 2);
}

/** What a row calls the task: its data on one line; where that is unknown, its message. */
export function titleOf(task: Task): string {
  const { data, title, message, taskId, key } = task;
  const text = data === undefined ? (title ?? messageText(message)) : oneLineOf(data);
  return shorten(oneLine(text.slice(0, 4 * MAX_TITLE)) || `Task ${taskId ?? key}`);
}

/** The result of a finished task, or the progress of one that runs; null where there is nothing to say. */
export function resultOf(task: Task): string | null {
  if (isTitledByMessage(task)) return null;
  const text = task.state === "finished" || isActive(task) ? messageText(task.message) : "";
  return text === "" || isRetryMessage(task) ? null : text;
}

/** Why a task failed, is not sent or ended otherwise; null where it did not. */
export function explanationOf(task: Task): string | null {
  const { state, message = "", submissionError } = task;
  switch (state) {
    case "rejected":
      return message || null;
    case "unsent":
      return submissionError === undefined ? null : unsentReason(submissionError);
    case "unknown":
      return "Its end is not known: notifications are kept for 24 hours.";
    case "expired":
      return "It was not started in time.";
    default:
      return state === "failed" ? failureOf(task) : null;
  }
}

/** The whole text about a task that has ended, with its line breaks; null where the title says it all. */
export function wholeTextOf(task: Task): string | null {
  if (isActive(task)) return null;
  const text = messageText(task.message);
  return resultOf(task) ?? explanationOf(task) ?? (isTitledByMessage(task) && text !== titleOf(task) ? text : null);
}

/** `3 attempts`, `attempt 2 of 5`; null where one attempt was enough. */
export function attemptsOf({ attempt, maxAttempts, state }: Task): string | null {
  if (attempt === undefined || attempt === 1) return null;
  if (state !== "running" && state !== "queued") return `${attempt} attempts`;
  return maxAttempts === undefined ? `attempt ${attempt}` : `attempt ${attempt} of ${maxAttempts}`;
}

/** The status as a row shows it. */
export function statusOf(task: Task): string {
  const { attempt, maxAttempts, nextAttemptAt } = task;
  if (isActive(task) && task.cancelRequestedAt !== undefined) return "Cancelling…";
  if (task.state === "queued" && nextAttemptAt !== undefined && attempt !== undefined)
    return maxAttempts === undefined ? `Retrying ${attempt}` : `Retrying ${attempt} of ${maxAttempts}`;
  return TASK_STATUS_TEXT[task.state];
}

/** When a queued task starts: after its delay, or at its next attempt. Null where it is to start at once. */
export function startOf(task: Task, now: () => number): string | null {
  if (task.state !== "queued") return null;
  const delayedUntil = task.delaySeconds === undefined ? 0 : task.sentAt + task.delaySeconds * 1_000;
  const at = task.nextAttemptAt ?? delayedUntil;
  return at > 0 && at > now() ? `Starts ${timeUntil(at, now())}` : null;
}

/** The announcement of a task's end: `Finished task: <title>`, and in a second line what is not said by the title. */
export function announcementOf(task: Task): { headline: string; detail: string | null } {
  const title = titleOf(task);
  if (isTitledByMessage(task) && task.message) return { headline: shorten(oneLine(task.message)), detail: null };
  const detail = resultOf(task) ?? explanationOf(task);
  return { headline: `${TASK_STATUS_TEXT[task.state]} task: ${title}`, detail: detail === title ? null : detail };
}

/** The message without the words that the status says already. */
export function messageText(message = ""): string {
  return message.replace(MESSAGE_PREFIX, "");
}

function failureOf(task: Task): string | null {
  return task.error ?? REASON_TEXT[task.reason ?? ""] ?? failureText(task);
}

/** A service of an earlier version gives no reason, but may have put its public error into the message. */
function failureText(task: Task): string | null {
  const text = messageText(task.message);
  return text === "" || isTitledByMessage(task) || shorten(text) === titleOf(task) ? null : text;
}

/** Neither data nor title is known, so that the message is the title. */
function isTitledByMessage({ data, title }: Task): boolean {
  return data === undefined && title === undefined;
}

function isRetryMessage({ nextAttemptAt }: Task): boolean {
  return nextAttemptAt !== undefined;
}

function oneLineOf(data: unknown): string {
  return typeof data === "string" ? data : JSON.stringify(data);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

function shorten(text: string): string {
  return text.length <= MAX_TITLE ? text : `${text.slice(0, MAX_TITLE).replace(/[\uD800-\uDBFF]$/, "")}…`;
}
