import { retryAfterOf, SignedOutError, statusOf } from "../api/errors";

/** The task is invalid, however often it is sent. */
const REJECTED = new Set([400, 413, 415, 422]);
/**
 * These say nothing about the task: the service is busy or down, restarts behind its gateway, or has not received the
 * whole request.
 */
const TRANSIENT = new Set([408, 429, 502, 503, 504]);
/** The longest Retry-After that is honoured. A longer one is mostly a mistake, and users wait for their tasks. */
const MAX_PAUSE_MS = 300_000;

/**
 * - `rejected`: the service will never accept the task.
 * - `unsent`: retrying does not help until somebody changes something, such as a missing route or a gateway's rule.
 * - `failed`: an error in answer to this task, which counts as one of its tries.
 * - `transient`: it may affect every task, and does not count.
 */
export type Failure = "signed-out" | "rejected" | "unsent" | "failed" | "transient";

export function classify(error: unknown): Failure {
  if (error instanceof SignedOutError) return "signed-out";
  const status = statusOf(error);
  if (status === 0 || TRANSIENT.has(status)) return "transient";
  if (REJECTED.has(status)) return "rejected";
  return status >= 400 && status < 500 ? "unsent" : "failed";
}

/** The user's rate limit: it says nothing about a single task, even if others were accepted. */
export function isRateLimit(error: unknown): boolean {
  return statusOf(error) === 429;
}

/** The pause that the service asked for; 0 where it asked for none. */
export function requestedPauseMs(error: unknown): number {
  return Math.min(MAX_PAUSE_MS, retryAfterOf(error) ?? 0);
}
