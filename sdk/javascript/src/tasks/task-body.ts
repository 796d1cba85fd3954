/** The request body of one task. */
export function taskBody(data: string): string {
  return JSON.stringify({ data });
}

/** Its size as sent: quotes, line breaks and control characters are escaped, the rest is UTF-8. */
export function taskBodyBytes(data: string): number {
  return new TextEncoder().encode(taskBody(data)).length;
}
