import { describe, expect, test } from "vitest";
import type { Notification } from "../notifications/notification";
import { compareStates, isFinal, type Task } from "./task";
import { applyChange, mergeTasks, type TaskChange, type TaskStore } from "./task-store";
import { seededRandom } from "../testing/seeded-random";

function shuffle<T>(values: readonly T[], next: () => number): T[] {
  const shuffled = [...values];
  for (let end = shuffled.length - 1; end > 0; end -= 1) {
    const at = Math.floor(next() * (end + 1));
    [shuffled[end], shuffled[at]] = [shuffled[at] as T, shuffled[end] as T];
  }
  return shuffled;
}

const notified = (fields: Partial<Notification>): TaskChange => ({
  type: "notified",
  notification: { taskId: "t", status: "progress", message: "", time: 1, input: "do it", ...fields },
  at: 999,
});

/** Three attempts with progress, and an end: as the services report them, in this order. */
function lifeOf(status: "finished" | "failed" | "cancelled" | "expired"): TaskChange[] {
  return [
    { type: "accepted", key: "k", taskId: "t", at: 10 },
    { type: "status", status: { taskId: "t", status: "queued", updatedAt: 0 }, at: 11 },
    notified({ attempt: 1, percent: 10, message: "1 of 10", time: 20 }),
    notified({ attempt: 1, percent: 90, message: "9 of 10", time: 30 }),
    { type: "status", status: { taskId: "t", status: "running", attempt: 1, percent: 90, updatedAt: 30 }, at: 31 },
    notified({ attempt: 2, maxAttempts: 3, nextAttemptAt: 50, message: "Retrying: attempt 2 of 3", time: 40 }),
    notified({ attempt: 2, maxAttempts: 3, percent: 5, message: "again", time: 60 }),
    {
      type: "status",
      status: { taskId: "t", status: "queued", attempt: 3, maxAttempts: 3, nextAttemptAt: 80, updatedAt: 70 },
      at: 71,
    },
    notified({ attempt: 3, maxAttempts: 3, percent: 50, message: "half", time: 90 }),
    notified({ status, attempt: 3, maxAttempts: 3, message: "the end", time: 100, startedAt: 80 }),
    { type: "status", status: { taskId: "t", status, message: "the end", updatedAt: 103 }, at: 104 },
  ];
}

function storeOf(changes: readonly TaskChange[], onChange: (task: Task) => void = () => undefined): Task {
  const store: TaskStore = new Map();
  applyChange(store, { type: "added", key: "k", data: { any: "json" }, at: 1 });
  for (const change of changes) {
    applyChange(store, change);
    const task = store.get("k");
    if (task !== undefined) onChange(task);
  }
  expect(store.size).toBe(1);
  return store.get("k") as Task;
}

const SEEDS = Array.from({ length: 200 }, (_, seed) => seed);

describe.each(["finished", "failed", "cancelled", "expired"] as const)("a task that %s", (status) => {
  const life = lifeOf(status);
  const expected = storeOf(life);

  test("has this end, with its attempt and times", () => {
    expect(expected).toMatchObject({ state: status, data: { any: "json" }, attempt: 3, changedAt: 100, startedAt: 80 });
    expect(expected).not.toHaveProperty("percent");
    expect(expected).not.toHaveProperty("nextAttemptAt");
  });

  test("has it in whatever order the events arrive, and however often", () => {
    for (const seed of SEEDS) {
      const next = seededRandom(seed);
      const events = shuffle([...life, ...life.filter(() => next() < 0.3)], next);
      expect(storeOf(events), `seed ${seed}`).toEqual(expected);
    }
  });

  test("never goes back, and has one final state", () => {
    for (const seed of SEEDS) {
      let before: Task | undefined;
      const ends = new Set<string>();
      storeOf(shuffle(life, seededRandom(seed)), (task) => {
        if (isFinal(task)) ends.add(task.state);
        else if (before !== undefined) expect(compareStates(task, before), `seed ${seed}`).toBeGreaterThanOrEqual(0);
        if (before !== undefined && isFinal(before)) expect(task.state).toBe(before.state);
        before = task;
      });
      expect([...ends]).toEqual([status]);
    }
  });

  test("is the same in two tabs that saw different events and exchange their lists", () => {
    for (const seed of SEEDS) {
      const next = seededRandom(seed);
      const [mine, theirs]: [TaskStore, TaskStore] = [new Map(), new Map()];
      for (const store of [mine, theirs]) {
        applyChange(store, { type: "added", key: "k", data: { any: "json" }, at: 1 });
        const seen = [life[0] as TaskChange, ...life].filter(() => next() < 0.5);
        if (store === mine) seen.push(life[0] as TaskChange); // the tab that sent it sees its acceptance
        for (const change of shuffle(seen, next)) applyChange(store, change);
      }
      const [copyOfMine, copyOfTheirs] = [[...mine.values()], [...theirs.values()]];
      mergeTasks(mine, copyOfTheirs);
      mergeTasks(theirs, copyOfMine);
      expect([mine.size, theirs.size], `seed ${seed}`).toEqual([1, 1]);
      expect(mine.get("k")?.state, `seed ${seed}`).toBe(theirs.get("k")?.state);
    }
  });
});

test("a task that runs keeps the larger attempt, then the later time", () => {
  const events = lifeOf("finished").slice(0, -2);
  for (const seed of SEEDS)
    expect(storeOf(shuffle(events, seededRandom(seed)))).toMatchObject({
      state: "running",
      attempt: 3,
      message: "half",
    });
});

test("a retry shows its attempt and time, and no progress of the attempt before", () => {
  const task = storeOf(lifeOf("finished").slice(0, 6));
  expect(task).toMatchObject({ state: "queued", attempt: 2, maxAttempts: 3, nextAttemptAt: 50 });
  expect(task).not.toHaveProperty("percent");
});

test("a request to cancel is kept whatever arrives, and does not change the state", () => {
  const request: TaskChange = {
    type: "status",
    status: { taskId: "t", status: "queued", cancelRequestedAt: 55, updatedAt: 0 },
    at: 55,
  };
  for (const seed of SEEDS) {
    const events = shuffle([...lifeOf("finished").slice(0, -2), request], seededRandom(seed));
    expect(storeOf(events)).toMatchObject({ state: "running", cancelRequestedAt: 55 });
  }
});

test("a task that the service has forgotten is unknown until its end is notified", () => {
  const forgotten: TaskChange = { type: "forgotten", key: "k", at: 200 };
  expect(storeOf([...lifeOf("finished").slice(0, -2), forgotten]).state).toBe("unknown");
  expect(storeOf([forgotten, ...lifeOf("failed")]).state).toBe("failed");
});

test("a task of another device has the time at which it was accepted, from its id", () => {
  const store: TaskStore = new Map();
  const taskId = "018bcfe5-6800-7000-8000-000000000000"; // 1,700,000,000,000
  applyChange(store, notified({ taskId, title: "The first 120 characters", time: 1_700_000_009_000 }));
  expect([...store.values()]).toMatchObject([{ sentAt: 1_700_000_000_000, title: "The first 120 characters" }]);
});
