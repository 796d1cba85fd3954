import type { Task } from "notification-api-client";
import { describe, expect, test } from "vitest";
import { announcementOf, attemptsOf, explanationOf, resultOf, startOf, statusOf, titleOf } from "./task-description";

const task = (fields: Partial<Task>): Task => ({
  key: "k",
  taskId: "t",
  state: "finished",
  sentAt: 1_000,
  changedAt: 2_000,
  ...fields,
});

describe("the title", () => {
  test.each<[Partial<Task>, string]>([
    [{ data: "Send the\n  invoices" }, "Send the invoices"],
    [{ data: { month: 10, dry: true } }, '{"month":10,"dry":true}'],
    [{ data: 2 }, "2"],
    [{ title: "The first 120 characters" }, "The first 120 characters"],
    [{ message: "Finished task: of an earlier version" }, "of an earlier version"],
    [{ message: "" }, "Task t"],
    [{ data: "x".repeat(300) }, `${"x".repeat(200)}…`],
  ])("of %j is %s", (fields, title) => {
    expect(titleOf(task(fields))).toBe(title);
  });
});

describe("the result", () => {
  test.each([
    ["2", "Finished task: 2", "2"],
    ["2", "Finished task: slept 2", "slept 2"],
    ["2", "Finished task: Finished task: 2", "Finished task: 2"],
  ])("of %s with %s is shown, whatever the title", (data, message, result) => {
    expect(resultOf(task({ data, message }))).toBe(result);
  });

  test("is not shown a second time where it is the title", () => {
    expect(resultOf(task({ message: "Finished task: done" }))).toBeNull();
  });

  test("of a running task is its progress", () => {
    expect(resultOf(task({ state: "running", data: "x", message: "3 of 9" }))).toBe("3 of 9");
  });

  test("does not repeat a retry, which the status says", () => {
    const retry = { state: "queued", data: "x", message: "Retrying: attempt 2 of 5", nextAttemptAt: 9 } as const;
    expect(resultOf(task(retry))).toBeNull();
  });
});

describe("a failed task", () => {
  test.each<[Partial<Task>, string | null]>([
    [{ error: "The file is empty", reason: "permanent" }, "The file is empty"],
    [{ reason: "max_attempts" }, "Every permitted attempt failed."],
    [{ reason: "of a later version", message: "Failed task: x", data: "x" }, null],
    [{ message: "Failed task: The file is empty", data: "x" }, "The file is empty"],
  ])("%j says why: %s", (fields, text) => {
    expect(explanationOf(task({ state: "failed", ...fields }))).toBe(text);
  });

  test("counts its attempts, where there was more than one", () => {
    expect(attemptsOf(task({ state: "failed", attempt: 5, maxAttempts: 5 }))).toBe("5 attempts");
    expect(attemptsOf(task({ state: "failed", attempt: 1 }))).toBeNull();
    expect(attemptsOf(task({ state: "running", attempt: 2, maxAttempts: 5 }))).toBe("attempt 2 of 5");
  });
});

describe("the status", () => {
  const retrying = { state: "queued", attempt: 2, maxAttempts: 5, nextAttemptAt: 10_000 } as const;

  test("says that a task is retried, and when", () => {
    expect(statusOf(task(retrying))).toBe("Retrying 2 of 5");
    expect(startOf(task(retrying), () => 2_000)).toBe("Starts in 8 s");
    expect(startOf(task(retrying), () => 11_000)).toBeNull();
  });

  test("says that a cancellation was asked for, until the task has ended", () => {
    expect(statusOf(task({ state: "running", cancelRequestedAt: 1 }))).toBe("Cancelling…");
    expect(statusOf(task({ state: "finished", cancelRequestedAt: 1 }))).toBe("Finished");
  });

  test("of a delayed task says when it starts", () => {
    expect(startOf(task({ state: "queued", delaySeconds: 60 }), () => 1_000)).toBe("Starts in 1 min");
  });
});

test("an announcement of a task without a title is its message", () => {
  expect(announcementOf(task({ message: "plain text" }))).toEqual({ headline: "plain text", detail: null });
});

test("an announcement says nothing twice", () => {
  expect(announcementOf(task({ data: "x", message: "Finished task: x" }))).toEqual({
    headline: "Finished task: x",
    detail: null,
  });
  expect(announcementOf(task({ data: "2", message: "Finished task: slept 2" }))).toEqual({
    headline: "Finished task: 2",
    detail: "slept 2",
  });
});
