import { isFinal, type Task } from "notification-api-client";
import { duration, exactTime } from "./time-text";

/** What is known of a task, as pairs of name and value. */
export function factsOf(task: Task): [string, string][] {
  const { taskId, type = "default", sentAt, startedAt, changedAt } = task;
  const ended = isFinal(task);
  const facts: [string, string | undefined][] = [
    ["Type", type],
    ["Sent", exactTime(sentAt)],
    ["Started", startedAt === undefined ? undefined : exactTime(startedAt)],
    ["Ended", ended ? exactTime(changedAt) : undefined],
    ["Took", ended && startedAt !== undefined ? duration(Math.max(0, changedAt - startedAt)) : undefined],
    ["Attempts", attemptsFact(task)],
    ["Task id", taskId],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
}

function attemptsFact({ attempt, maxAttempts }: Task): string | undefined {
  if (attempt === undefined) return undefined;
  return maxAttempts === undefined ? String(attempt) : `${attempt} of ${maxAttempts}`;
}
