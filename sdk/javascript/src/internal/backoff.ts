export interface BackoffPolicy {
  baseMs: number;
  capMs: number;
}

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
