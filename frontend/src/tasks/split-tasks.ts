import { bodyBytes } from "./task-body";

/** The ingest service's own default (`MAX_BODY_BYTES`). */
export const DEFAULT_MAX_BODY_BYTES = 262_144;
const MAX_AT_ONCE = 50;

export interface SplitTasks {
  tasks: string[];
  /** In words for a person; null where there is none. */
  error: string | null;
}

/** Each line that is not blank is a task. */
export function splitTasks(text: string, maxBodyBytes = DEFAULT_MAX_BODY_BYTES): SplitTasks {
  const tasks = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return { tasks, error: complaint(tasks, maxBodyBytes) };
}

function complaint(tasks: string[], maxBodyBytes: number): string | null {
  if (tasks.length === 0) return "Write what is to be done.";
  if (tasks.length > MAX_AT_ONCE) return `At most ${MAX_AT_ONCE} tasks at once; these are ${tasks.length}.`;
  const longest = Math.max(...tasks.map(bodyBytes));
  if (longest <= maxBodyBytes) return null;
  const [limit, length] = [maxBodyBytes, longest].map((bytes) => bytes.toLocaleString("en"));
  return `One of these tasks is longer than the service takes (${limit} bytes): it has ${length} as it is sent.`;
}
