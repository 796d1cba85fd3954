import { ServiceError, type ClientError, type ClientState, type TaskState } from "notification-api-client";

export const CONNECTION_STATUS_TEXT: Record<ClientState, string> = {
  connecting: "Connecting…",
  live: "Live",
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

/** Why pending tasks are not sent now. */
export interface Delay {
  error: unknown;
  /** Whether some of them would be lost with the page. */
  memoryOnly: boolean;
}

/**
 * Why notifications do not arrive or tasks are not sent, and what happens next; null where everything works. The text does
 * not change from one retry to the next, since each change is read out.
 *
 * @param someUnsent Whether there are tasks that are no longer tried.
 */
export function statusMessage(
  state: ClientState,
  error: ClientError | null,
  delay: Delay | null,
  someUnsent = false,
): string | null {
  const aboutTasks = delay === null ? (someUnsent ? SOME_UNSENT : null) : delayMessage(delay.error);
  const message = connectionMessage(state, error) ?? aboutTasks;
  return message !== null && delay?.memoryOnly ? `${message} ${KEEP_OPEN}` : message;
}

/** Why a task is no longer tried: for a 4xx status the service's own message. */
export function unsentReason(error: unknown): string {
  if (!(error instanceof ServiceError)) return UNREACHABLE;
  return error.status >= 400 && error.status < 500 ? error.message : errorMessage(error.status, error.requestId);
}

/** Whether both errors lead to the same message, apart from the request id. */
export function isSameError(one: unknown, other: unknown): boolean {
  return one !== null && other !== null && statusOf(one) === statusOf(other);
}

function statusOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "status" in error ? error.status : undefined;
}

function connectionMessage(state: ClientState, error: ClientError | null): string | null {
  if (state === "offline") return "You are offline. Tasks that you send are kept, and sent when the network is back.";
  if (state !== "reconnecting") return null;
  const reason = error === null ? "The connection was lost." : errorMessage(error.status, error.requestId);
  return `${reason} Reconnecting automatically; no notification is lost.`;
}

function delayMessage(error: unknown): string {
  const next = "Retrying automatically; your tasks are kept.";
  if (!(error instanceof ServiceError)) return `${UNREACHABLE} ${next}`;
  if (error.status === 429) return `You have reached your limit of tasks for now. ${next}`;
  return `${errorMessage(error.status, error.requestId)} ${next}`;
}

function errorMessage(status: number | undefined, requestId: string | undefined): string {
  if (status === undefined) return UNREACHABLE;
  if (status === 429 || status === 503) return "The service is busy or temporarily unavailable.";
  const request = requestId === undefined ? "" : ` (request ${requestId})`;
  return `The service answered with an error${request}.`;
}
