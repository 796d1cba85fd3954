/** One day. A wrong header must not stop the client for ever, and browser timers take at most 24 days. */
const MAX_RETRY_AFTER_MS = 86_400_000;

/** Parses a Retry-After header in seconds or as a date. Undefined where it is missing or malformed. */
export function parseRetryAfterMs(headers: Headers, now: number = Date.now()): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.min(MAX_RETRY_AFTER_MS, Math.max(0, ms));
}
