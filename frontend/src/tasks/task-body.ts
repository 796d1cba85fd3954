/** What is posted for one task. */
export function taskBody(data: string): string {
  return JSON.stringify({ data });
}

/** Its length as it is sent: quotes, line breaks and control characters are escaped, the rest is UTF-8. */
export function bodyBytes(data: string): number {
  return new TextEncoder().encode(taskBody(data)).length;
}
