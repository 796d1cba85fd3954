import { defined } from "../internal/defined";
import { isFinalStatus, isTime, parseFacts, type FinalStatus, type TaskFacts } from "../notifications/notification";
import { malformed } from "./errors";

/** What the service knows of a task: the answer of `GET /task/{taskId}`. */
export interface TaskStatus extends TaskFacts {
  taskId: string;
  status: "queued" | "running" | FinalStatus;
  message?: string;
  cancelRequestedAt?: number;
  /** Epoch milliseconds; 0 where nothing but the id is known. */
  updatedAt: number;
}

/** The whole result of a finished task, which may be longer than a notification. */
export interface TaskResult {
  message: string;
  data?: unknown;
}

/** @throws NotificationError where `value` is not the status of this task. */
export function parseTaskStatus(value: unknown, taskId: string): TaskStatus {
  const body = value as Record<string, unknown> | null;
  const status = body?.status;
  if (body === null || !(status === "queued" || status === "running" || isFinalStatus(status)))
    throw malformed("The service's answer has no status");
  const progress = (body.progress ?? {}) as Record<string, unknown>;
  const message = [body.message, progress.message].find((text) => typeof text === "string") as string | undefined;
  const { cancelRequestedAt } = body;
  return {
    taskId,
    status,
    updatedAt: [body.time, body.updatedAt].find(isTime) ?? 0,
    ...parseFacts({ percent: progress.percent, ...body }),
    ...defined({ message, cancelRequestedAt: isTime(cancelRequestedAt) ? cancelRequestedAt : undefined }),
  };
}

/** @throws NotificationError where `value` is not a result. */
export function parseTaskResult(value: unknown): TaskResult {
  const { message, data } = (value ?? {}) as Record<string, unknown>;
  if (typeof message !== "string") throw malformed("The service's answer has no result");
  return { message, ...(data !== undefined && data !== null && { data }) };
}
