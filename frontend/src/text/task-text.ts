import { taskBodyBytes, type TaskOptions } from "notification-api-client";
import { DEFAULT_MAX_BODY_BYTES } from "../platform/config";

const MAX_TASKS_AT_ONCE = 50;

export interface SplitTasks {
  tasks: string[];
  /** A message for the user; null where the tasks can be sent. */
  error: string | null;
}

export interface SplitOptions {
  /** Each line that is not blank is a task; otherwise the whole text is one. */
  onePerLine: boolean;
  maxBodyBytes?: number;
  /** What is sent with each task. */
  options?: TaskOptions;
}

/** The tasks of the typed text. */
export function splitTasks(text: string, { onePerLine, maxBodyBytes, options }: SplitOptions): SplitTasks {
  const tasks = (onePerLine ? text.split(/\r?\n/) : [text]).map((task) => task.trim()).filter((task) => task !== "");
  return { tasks, error: validate(tasks, maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES, options) };
}

function validate(tasks: string[], maxBodyBytes: number, options: TaskOptions | undefined): string | null {
  if (tasks.length === 0) return "Enter a task.";
  if (tasks.length > MAX_TASKS_AT_ONCE) return `At most ${MAX_TASKS_AT_ONCE} tasks at once; these are ${tasks.length}.`;
  const longest = Math.max(...tasks.map((task) => taskBodyBytes(task, options)));
  if (longest <= maxBodyBytes) return null;
  const [limit, size] = [maxBodyBytes, longest].map((bytes) => bytes.toLocaleString("en"));
  const subject = tasks.length === 1 ? "This task" : "One of these tasks";
  return `${subject} is too long: ${size} bytes as it is sent, where the service accepts ${limit}.`;
}
