import type { TaskState } from "../tasks/task-book";

export const TASK_WORDS: Record<TaskState, string> = {
  kept: "To be sent",
  sent: "Sent",
  working: "Working",
  finished: "Finished",
  failed: "Failed",
  unsent: "Not sent",
  refused: "Not sent",
};

const sameDay = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const otherDay = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** The time of day, with the date where it is not today. */
export function shortTime(epochMs: number, now = Date.now()): string {
  const today = new Date(epochMs).toDateString() === new Date(now).toDateString();
  return (today ? sameDay : otherDay).format(epochMs);
}
