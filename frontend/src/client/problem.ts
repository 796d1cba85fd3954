import { ServiceError } from "./http";
import { StreamError } from "./stream";
import type { Problem } from "./types";

export function describe(stage: Problem["stage"], error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  const problem: Problem = { stage: error instanceof StreamError ? "stream" : stage, message };
  if (!(error instanceof ServiceError)) return problem;
  problem.status = error.status;
  if (error.requestId !== undefined) problem.requestId = error.requestId;
  return { ...problem, ...retryAfter(error) };
}

export function retryAfter(error: unknown): { retryAfterMs?: number } {
  return error instanceof ServiceError && error.retryAfterMs !== undefined ? { retryAfterMs: error.retryAfterMs } : {};
}
