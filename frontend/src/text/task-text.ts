import { taskBodyBytes } from "notification-api-client";
import { DEFAULT_MAX_BODY_BYTES } from "../platform/config";

const MAX_TASKS_AT_ONCE = 50;

export interface SplitTasks {
  tasks: string[];
  /** A message for the user; null where the tasks can be sent. */
  error: string | null;
}

/** Splits the typed text into tasks: each line that is not blank is one. */
export function splitTasks(text: string, maxBodyBytes = DEFAULT_MAX_BODY_BYTES): SplitTasks {
  const tasks = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
  return { tasks, error: validate(tasks, maxBodyBytes) };
}

function validate(tasks: string[], maxBodyBytes: number): string | null {
  if (tasks.length === 0) return "Enter a task.";
  if (tasks.length > MAX_TASKS_AT_ONCE) return `At most ${MAX_TASKS_AT_ONCE} tasks at once; these are ${tasks.length}.`;
  const longest = Math.max(...tasks.map(taskBodyBytes));
  if (longest <= maxBodyBytes) return null;
  const [limit, size] = [maxBodyBytes, longest].map((bytes) => bytes.toLocaleString("en"));
  return `One of these tasks is too long: ${size} bytes as it is sent, where the service accepts ${limit}.`;
}
