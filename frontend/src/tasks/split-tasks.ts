/** Below the service's limit of 256 KiB a request, with room for what is around the text. */
const MAX_BYTES = 250_000;
const MAX_AT_ONCE = 50;

export interface SplitTasks {
  tasks: string[];
  /** In words for a person; null where there is none. */
  error: string | null;
}

/** Each line that is not blank is a task. */
export function splitTasks(text: string): SplitTasks {
  const tasks = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return { tasks, error: complaint(tasks) };
}

function complaint(tasks: string[]): string | null {
  if (tasks.length === 0) return "Write what is to be done.";
  if (tasks.length > MAX_AT_ONCE) return `At most ${MAX_AT_ONCE} tasks at once; these are ${tasks.length}.`;
  const tooLong = tasks.some((task) => new TextEncoder().encode(task).length > MAX_BYTES);
  return tooLong ? "One of these tasks is longer than the service takes (250 kB)." : null;
}
