export interface BackoffPolicy {
  baseMs: number;
  capMs: number;
}

/**
 * How long to wait before the next attempt: doubling, capped, with half of it random, so that clients which
 * lost their connection together do not come back together. A server's Retry-After is a floor, spread by a
 * second for the same reason.
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: () => number, retryAfterMs = 0): number {
  const ceiling = Math.min(policy.capMs, policy.baseMs * 2 ** Math.min(attempt, 30));
  const delay = ceiling / 2 + (random() * ceiling) / 2;
  return retryAfterMs > 0 ? Math.max(delay, retryAfterMs + random() * 1000) : delay;
}
