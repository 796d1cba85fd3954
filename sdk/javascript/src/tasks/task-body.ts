import type { TaskOptions } from "./task";

/** The request body of one task. `data` is any JSON. */
export function taskBody(data: unknown, options: TaskOptions = {}): string {
  return JSON.stringify({ data, ...options });
}

/** Its size as sent: quotes, line breaks and control characters are escaped, the rest is UTF-8. */
export function taskBodyBytes(data: unknown, options: TaskOptions = {}): number {
  return new TextEncoder().encode(taskBody(data, options)).length;
}
