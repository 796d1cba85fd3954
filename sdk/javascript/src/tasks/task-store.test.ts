import { describe, expect, test } from "vitest";
import type { ErrorData } from "../api/errors";
import type { Notification } from "../notifications/notification";
import type { Task } from "./task";
import {
  applyChange,
  isAwaited,
  MAX_TASKS,
  mergeTasks,
  newestFirst,
  type TaskStore,
  type TaskChange,
} from "./task-store";

const problem = (message: string): ErrorData => ({ code: "invalid_request", message, retryable: false, status: 400 });
const added = (key: string, at = 1): TaskChange => ({ type: "added", key, data: `do ${key}`, at });
const accepted = (key: string, taskId: string): TaskChange => ({ type: "accepted", key, taskId, at: 2 });
const rejected = (key: string): TaskChange => ({ type: "rejected", key, error: problem("too large"), at: 2 });

const unsent = (key: string, at: number): TaskChange => ({ type: "unsent", key, error: problem("no luck"), at });
const retried = (key: string, at: number): TaskChange => ({ type: "retried", key, at });

function notified(taskId: string, status: Notification["status"], message = status as string, time = 3): TaskChange {
  return { type: "notified", notification: { taskId, status, message, time }, at: 99 };
}

function store(...changes: TaskChange[]): TaskStore {
  const result: TaskStore = new Map();
  for (const change of changes) applyChange(result, change);
  return result;
}

function only(result: TaskStore): Task {
  expect(result.size).toBe(1);
  return [...result.values()][0] as Task;
}

describe("a task", () => {
  test("goes from pending to queued to running to finished", () => {
    const result = store(added("k"));
    const states = [only(result).state];
    for (const change of [accepted("k", "t"), notified("t", "progress"), notified("t", "finished")]) {
      applyChange(result, change);
      states.push(only(result).state);
    }
    expect(states).toEqual(["pending", "queued", "running", "finished"]);
  });

  test("whose notification arrives before the answer is still one task", () => {
    const task = only(store(added("k"), notified("t", "finished", "done"), accepted("k", "t")));
    expect(task).toMatchObject({ key: "k", taskId: "t", state: "finished", message: "done", data: "do k" });
  });

  test("never goes back", () => {
    const task = only(
      store(
        added("k"),
        accepted("k", "t"),
        notified("t", "finished"),
        notified("t", "progress", "late"),
        accepted("k", "t"),
      ),
    );
    expect(task).toMatchObject({ state: "finished", message: "finished" });
  });

  test("shows the newest progress, in whatever order it arrives", () => {
    const task = only(
      store(
        added("k"),
        accepted("k", "t"),
        notified("t", "progress", "2 of 2", 9),
        notified("t", "progress", "1 of 2", 8),
      ),
    );
    expect(task.message).toBe("2 of 2");
  });

  test("sent elsewhere is listed by its notification", () => {
    expect(only(store(notified("t", "failed", "no luck", 7)))).toEqual({
      key: "t",
      taskId: "t",
      state: "failed",
      message: "no luck",
      sentAt: 7,
      changedAt: 7,
    });
  });

  test("that was rejected says why", () => {
    expect(only(store(added("k"), rejected("k")))).toMatchObject({ state: "rejected", message: "too large" });
  });

  test("that is unsent says why, is pending when it is retried, and is queued in the end", () => {
    const result = store(added("k"), unsent("k", 2));
    expect(only(result)).toMatchObject({ state: "unsent", message: "no luck" });
    applyChange(result, { type: "retried", key: "k", at: 3 });
    expect(only(result)).toMatchObject({ state: "pending", message: "" });
    applyChange(result, unsent("k", 4));
    applyChange(result, accepted("k", "t"));
    applyChange(result, unsent("k", 5));
    applyChange(result, { type: "retried", key: "k", at: 6 });
    expect(only(result)).toMatchObject({ state: "queued", taskId: "t" });
  });

  test("that is retried stays pending when the change to unsent arrives late", () => {
    const result = store(added("k"), { type: "retried", key: "k", at: 3 }, unsent("k", 2));
    expect(only(result).state).toBe("pending");
  });

  test("is awaited from its acceptance to its end", () => {
    const result = store(added("k"));
    const awaited = [isAwaited(result, "t")];
    for (const change of [accepted("k", "t"), notified("t", "progress"), notified("t", "finished")]) {
      applyChange(result, change);
      awaited.push(isAwaited(result, "t"));
    }
    expect(awaited).toEqual([false, true, true, false]);
  });

  test("that is removed is gone, and late changes have no effect", () => {
    expect(store(added("k"), { type: "removed", key: "k" }, accepted("k", "t"), rejected("k")).size).toBe(0);
  });

  test("that is added twice is listed once", () => {
    expect(only(store(added("k", 1), accepted("k", "t"), added("k", 5)))).toMatchObject({ state: "queued", sentAt: 1 });
  });
});

describe("the task store", () => {
  test("shows the newest first", () => {
    expect(newestFirst(store(added("a", 1), added("c", 3), added("b", 2))).map(({ key }) => key)).toEqual([
      "c",
      "b",
      "a",
    ]);
  });

  test("is bounded, and drops the oldest that is not pending", () => {
    const result = store(added("pending", 0));
    for (let id = 1; id <= MAX_TASKS + 50; id += 1) applyChange(result, notified(`t${id}`, "finished", "done", id));
    expect(result.size).toBe(MAX_TASKS);
    expect([result.has("pending"), result.has("t1"), result.has(`t${MAX_TASKS + 50}`)]).toEqual([true, false, true]);
  });

  test("drops no unsent task", () => {
    const result = store(added("k", 0), unsent("k", 0));
    for (let id = 1; id <= MAX_TASKS + 50; id += 1) applyChange(result, notified(`t${id}`, "finished", "done", id));
    expect(result.get("k")?.state).toBe("unsent");
  });

  test.each([
    ["that is unsent", [added("k"), unsent("k", 2)], [added("k")], "unsent"],
    ["that is retried", [added("k"), unsent("k", 2), retried("k", 3)], [added("k"), unsent("k", 2)], "pending"],
    ["that was accepted", [added("k"), unsent("k", 2), retried("k", 3), accepted("k", "t")], [added("k")], "queued"],
  ])("keeps the later state of a task %s, whichever tab has it", (_, later, earlier, state) => {
    for (const [mine, theirs] of [
      [store(...later), store(...earlier)],
      [store(...earlier), store(...later)],
    ] as const) {
      mergeTasks(mine, theirs.values());
      expect(only(mine).state).toBe(state);
    }
  });

  const sentHere = [added("k", 1), accepted("k", "t")];
  test.each([
    ["by its id only", [notified("t", "finished", "done", 9)]],
    ["twice: before and after its acceptance", [notified("t", "finished", "done", 9), ...sentHere.slice(0, 1)]],
  ])("lists a task once that one tab knows %s", (_, known) => {
    const [mine, theirs] = [store(...known), store(...sentHere)];
    const [copyOfMine, copyOfTheirs] = [[...mine.values()], [...theirs.values()]];
    mergeTasks(mine, copyOfTheirs);
    mergeTasks(theirs, copyOfMine);
    for (const merged of [mine, theirs]) {
      const expected = { key: "k", taskId: "t", state: "finished", message: "done", data: "do k", sentAt: 1 };
      expect(only(merged)).toMatchObject(expected);
    }
  });

  test("adopts from another tab what is newer there, and nothing else", () => {
    const mine = store(added("a"), accepted("a", "ta"), notified("ta", "finished"), added("b"));
    const theirs = store(added("a"), added("b"), accepted("b", "tb"), added("c"));
    mergeTasks(mine, theirs.values());
    expect([...mine.values()].map(({ key, state }) => [key, state])).toEqual([
      ["a", "finished"],
      ["b", "queued"],
      ["c", "pending"],
    ]);
  });
});
