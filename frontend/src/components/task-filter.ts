import { isActive, isFinal, isLocal, type Task } from "notification-api-client";

export const FILTERS = ["all", "active", "failed"] as const;
export type Filter = (typeof FILTERS)[number];

export type Counts = Record<Filter | "done", number>;

const FAILED = new Set<Task["state"]>(["failed", "expired", "rejected", "unsent"]);

export const FILTER_TEXT: Record<Filter, string> = { all: "All", active: "Active", failed: "Failed" };

export const EMPTY_TEXT: Record<Filter, string> = {
  all: "No tasks yet.",
  active: "No task is active.",
  failed: "No task has failed.",
};

/** What needs the user's attention counts as failed: also what was not sent. */
export function matches(task: Task, filter: Filter): boolean {
  if (filter === "failed") return FAILED.has(task.state);
  if (filter === "active") return isActive(task) || (isLocal(task) && task.state !== "unsent");
  return true;
}

export function countTasks(tasks: readonly Task[]): Counts {
  const counts: Counts = { all: tasks.length, active: 0, failed: 0, done: 0 };
  for (const task of tasks) {
    if (matches(task, "active")) counts.active += 1;
    if (matches(task, "failed")) counts.failed += 1;
    if (isFinal(task) || task.state === "rejected" || task.state === "unknown") counts.done += 1;
  }
  return counts;
}
