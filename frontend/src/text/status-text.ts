import type { ConnectionState, ErrorData, OutboxStatus, TaskState } from "notification-api-client";

export const CONNECTION_STATUS_TEXT: Record<ConnectionState, string> = {
  idle: "Connecting…",
  connecting: "Connecting…",
  connected: "Live",
  reconnecting: "Reconnecting…",
  offline: "Offline",
  "signed-out": "Signed out",
};

export const TASK_STATUS_TEXT: Record<TaskState, string> = {
  pending: "Pending",
  queued: "Queued",
  running: "Running",
  finished: "Finished",
  failed: "Failed",
  cancelled: "Cancelled",
  expired: "Expired",
  unsent: "Not sent",
  rejected: "Rejected",
  unknown: "Unknown",
};

export const SESSION_EXPIRED = "Your session has expired. Sign in again to continue; the tasks that you sent are kept.";
const SOME_UNSENT = "Some of your tasks were not sent. They are kept and can be retried.";
const KEEP_OPEN = "This browser's storage is full or blocked: keep this page open until your tasks are sent.";
export const UNREACHABLE = "The service cannot be reached.";

/**
 * Why notifications do not arrive or tasks are not sent, and what happens next; null where everything works. The text does
 * not change from one retry to the next, since each change is read out.
 *
 * @param someUnsent Whether there are tasks that are no longer tried.
 */
export function statusMessage(
  state: ConnectionState,
  error: ErrorData | null,
  outbox: OutboxStatus,
  someUnsent = false,
): string | null {
  const aboutTasks = outbox.error === null ? (someUnsent ? SOME_UNSENT : null) : delayMessage(outbox.error);
  const message = connectionMessage(state, error) ?? aboutTasks;
  return message !== null && outbox.memoryOnly ? `${message} ${KEEP_OPEN}` : message;
}

/** Why a task is no longer tried: for a 4xx status the service's own message. */
export function unsentReason(error: ErrorData): string {
  const { status = 0, message } = error;
  return status >= 400 && status < 500 ? message : errorMessage(error);
}

function connectionMessage(state: ConnectionState, error: ErrorData | null): string | null {
  if (state === "offline") return "You are offline. Tasks that you send are kept, and sent when the network is back.";
  if (state !== "reconnecting") return null;
  const reason = error === null ? "The connection was lost." : errorMessage(error);
  return `${reason} Reconnecting automatically; no notification is lost.`;
}

function delayMessage(error: ErrorData): string {
  const reason = error.status === 429 ? "You have reached your limit of tasks for now." : errorMessage(error);
  return `${reason} Retrying automatically; your tasks are kept.`;
}

function errorMessage({ status, requestId }: ErrorData): string {
  if (status === undefined) return UNREACHABLE;
  if (status === 429 || status === 503) return "The service is busy or temporarily unavailable.";
  const request = requestId === undefined ? "" : ` (request ${requestId})`;
  return `The service answered with an error${request}.`;
}
