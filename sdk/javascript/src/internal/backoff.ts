import { delay, type Clock } from "./timers";

export interface BackoffPolicy {
  baseMs: number;
  capMs: number;
}

/** For whatever is tried without end. */
export const RETRY: BackoffPolicy = { baseMs: 1_000, capMs: 15_000 };

/**
 * Milliseconds to wait before attempt number `attempt` (from 0): exponential and capped, half of it random, so that
 * clients which lost their connection together do not reconnect together. A server's Retry-After is a minimum, spread
 * over one second for the same reason.
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: () => number, retryAfterMs = 0): number {
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt, 30));
  const delay = ceiling / 2 + (random() * ceiling) / 2;
  return retryAfterMs > 0 ? Math.max(delay, retryAfterMs + random() * 1000) : delay;
}

/** Calls `attempt` until it resolves to true, with a pause before each further call, or until `signal` aborts. */
export async function repeat(
  attempt: () => Promise<boolean>,
  { clock, random }: { clock: Clock; random: () => number },
  signal: AbortSignal,
): Promise<void> {
  for (let count = 0; !signal.aborted && !(await attempt()); count += 1)
    await delay(clock, backoffMs(RETRY, count, random), signal);
}
