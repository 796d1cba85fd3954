const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

/** The date and time of day, in the user's own format. */
export function exactTime(epochMs: number): string {
  return exact.format(epochMs);
}

/** How long ago: `just now`, `2 min ago`; the date where it is more than a day. A time in the future is `just now`. */
export function timeAgo(epochMs: number, now: number): string {
  const ms = now - epochMs;
  if (ms < 5 * SECOND) return "just now";
  return ms < DAY ? `${coarse(ms)} ago` : day.format(epochMs);
}

/** How long until then: `in 8 s`; `now` where the time has come. */
export function timeUntil(epochMs: number, now: number): string {
  const ms = epochMs - now;
  return ms < SECOND ? "now" : `in ${coarse(ms)}`;
}

/** `< 0.1 s`, `0.4 s`, `5 s`, `2 min 5 s`, `1 h 10 min`. */
export function duration(ms: number): string {
  if (ms < 100) return "< 0.1 s";
  if (ms < SECOND) return `${(ms / SECOND).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.round(ms / SECOND)} s`;
  if (ms < HOUR) return parts(Math.floor(ms / MINUTE), "min", Math.floor((ms % MINUTE) / SECOND), "s");
  return parts(Math.floor(ms / HOUR), "h", Math.floor((ms % HOUR) / MINUTE), "min");
}

function parts(large: number, unit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`;
}

function coarse(ms: number): string {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  return `${Math.floor(ms / HOUR)} h`;
}
