import { describe, expect, test } from "vitest";
import type { Notification } from "../client";
import { apply, isAwaited, MAX_TASKS, merge, newestFirst, type Book, type Change, type Task } from "./task-book";

const added = (key: string, at = 1): Change => ({ type: "added", key, data: `do ${key}`, at });
const accepted = (key: string, taskId: string): Change => ({ type: "accepted", key, taskId, at: 2 });
const refused = (key: string): Change => ({ type: "refused", key, reason: "too large", at: 2 });

const unsent = (key: string, at: number): Change => ({ type: "unsent", key, reason: "no luck", at });
const retried = (key: string, at: number): Change => ({ type: "retried", key, at });

function told(taskId: string, status: Notification["status"], message = status as string, time = 3): Change {
  return { type: "told", news: { taskId, status, message, time }, at: 99 };
}

function book(...changes: Change[]): Book {
  const result: Book = new Map();
  for (const change of changes) apply(result, change);
  return result;
}

function only(result: Book): Task {
  expect(result.size).toBe(1);
  return [...result.values()][0] as Task;
}

describe("a task", () => {
  test("goes from kept to sent to working to finished", () => {
    const result = book(added("k"));
    const states = [only(result).state];
    for (const change of [accepted("k", "t"), told("t", "progress"), told("t", "finished")]) {
      apply(result, change);
      states.push(only(result).state);
    }
    expect(states).toEqual(["kept", "sent", "working", "finished"]);
  });

  test("whose news is faster than the answer is still one task", () => {
    const task = only(book(added("k"), told("t", "finished", "done"), accepted("k", "t")));
    expect(task).toMatchObject({ key: "k", taskId: "t", state: "finished", text: "done", data: "do k" });
  });

  test("never goes back", () => {
    const task = only(
      book(added("k"), accepted("k", "t"), told("t", "finished"), told("t", "progress", "late"), accepted("k", "t")),
    );
    expect(task).toMatchObject({ state: "finished", text: "finished" });
  });

  test("shows the newest progress, however it comes", () => {
    const task = only(
      book(added("k"), accepted("k", "t"), told("t", "progress", "2 of 2", 9), told("t", "progress", "1 of 2", 8)),
    );
    expect(task.text).toBe("2 of 2");
  });

  test("sent elsewhere is listed by its news", () => {
    expect(only(book(told("t", "failed", "no luck", 7)))).toEqual({
      key: "t",
      taskId: "t",
      state: "failed",
      text: "no luck",
      sentAt: 7,
      changedAt: 7,
    });
  });

  test("refused says why", () => {
    expect(only(book(added("k"), refused("k")))).toMatchObject({ state: "refused", text: "too large" });
  });

  test("that was not sent says why, goes back when it is tried again, and is sent in the end", () => {
    const result = book(added("k"), unsent("k", 2));
    expect(only(result)).toMatchObject({ state: "unsent", text: "no luck" });
    apply(result, { type: "retried", key: "k", at: 3 });
    expect(only(result)).toMatchObject({ state: "kept", text: "" });
    apply(result, unsent("k", 4));
    apply(result, accepted("k", "t"));
    apply(result, unsent("k", 5));
    apply(result, { type: "retried", key: "k", at: 6 });
    expect(only(result)).toMatchObject({ state: "sent", taskId: "t" });
  });

  test("that is tried again is so, though the news that it was not sent comes late", () => {
    const result = book(added("k"), { type: "retried", key: "k", at: 3 }, unsent("k", 2));
    expect(only(result).state).toBe("kept");
  });

  test("is awaited from when it is with the service to its end", () => {
    const result = book(added("k"));
    const awaited = [isAwaited(result, "t")];
    for (const change of [accepted("k", "t"), told("t", "progress"), told("t", "finished")]) {
      apply(result, change);
      awaited.push(isAwaited(result, "t"));
    }
    expect(awaited).toEqual([false, true, true, false]);
  });

  test("removed is gone, and what comes late for it changes nothing", () => {
    expect(book(added("k"), { type: "removed", key: "k" }, accepted("k", "t"), refused("k")).size).toBe(0);
  });

  test("added twice is there once", () => {
    expect(only(book(added("k", 1), accepted("k", "t"), added("k", 5)))).toMatchObject({ state: "sent", sentAt: 1 });
  });
});

describe("the book", () => {
  test("shows the newest first", () => {
    expect(newestFirst(book(added("a", 1), added("c", 3), added("b", 2))).map(({ key }) => key)).toEqual([
      "c",
      "b",
      "a",
    ]);
  });

  test("is bounded, and drops the oldest that is not still to be sent", () => {
    const result = book(added("kept", 0));
    for (let id = 1; id <= MAX_TASKS + 50; id += 1) apply(result, told(`t${id}`, "finished", "done", id));
    expect(result.size).toBe(MAX_TASKS);
    expect([result.has("kept"), result.has("t1"), result.has(`t${MAX_TASKS + 50}`)]).toEqual([true, false, true]);
  });

  test("drops none that was not sent", () => {
    const result = book(added("k", 0), unsent("k", 0));
    for (let id = 1; id <= MAX_TASKS + 50; id += 1) apply(result, told(`t${id}`, "finished", "done", id));
    expect(result.get("k")?.state).toBe("unsent");
  });

  test.each([
    ["that was not sent", [added("k"), unsent("k", 2)], [added("k")], "unsent"],
    ["that is tried again", [added("k"), unsent("k", 2), retried("k", 3)], [added("k"), unsent("k", 2)], "kept"],
    ["that was sent", [added("k"), unsent("k", 2), retried("k", 3), accepted("k", "t")], [added("k")], "sent"],
  ])("takes from another tab, or leaves to it, the later state of one %s", (_, later, earlier, state) => {
    for (const [mine, theirs] of [
      [book(...later), book(...earlier)],
      [book(...earlier), book(...later)],
    ] as const) {
      merge(mine, theirs.values());
      expect(only(mine).state).toBe(state);
    }
  });

  test("takes from another tab what is further along, and nothing else", () => {
    const mine = book(added("a"), accepted("a", "ta"), told("ta", "finished"), added("b"));
    const theirs = book(added("a"), added("b"), accepted("b", "tb"), added("c"));
    merge(mine, theirs.values());
    expect([...mine.values()].map(({ key, state }) => [key, state])).toEqual([
      ["a", "finished"],
      ["b", "sent"],
      ["c", "kept"],
    ]);
  });
});
