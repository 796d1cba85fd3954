import { expect, test } from "vitest";
import { SYSTEM_CLOCK } from "../internal/timers";
import { FakeStoredValue } from "../testing/harness";
import { applyChange, type TaskStore } from "./task-store";
import { TaskStorage } from "./task-storage";

test("a long task is saved as far as the list shows it, cut between characters", () => {
  const storage = new FakeStoredValue();
  const store: TaskStore = new Map();
  for (const [key, data] of [
    ["short", "do it"],
    ["long", `x${"😀".repeat(100_000)}`],
  ] as const)
    applyChange(store, { type: "added", key, data, at: 1 });
  new TaskStorage(storage, store, SYSTEM_CLOCK).saveNow();
  const saved = new TaskStorage(storage, new Map(), SYSTEM_CLOCK).load();
  const restored = new Map(saved.map((task) => [task.key, task]));
  expect(restored.get("short")?.data).toBe("do it");
  expect(restored.get("long")?.title).toBe(`x${"😀".repeat(499)}…`);
  expect(restored.get("long")?.data).toBeUndefined(); // a part of the data is never sent again as a task
});

test("damaged storage is an empty list", () => {
  const storage = new FakeStoredValue();
  storage.value = "{";
  const loaded = new TaskStorage(storage, new Map(), SYSTEM_CLOCK).load();
  expect([loaded, storage.value]).toEqual([[], null]);
});
