import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { SYSTEM_CLOCK } from "../internal/timers";
import { finished } from "../testing/fake-topic";
import { UnmatchedNotifications } from "./unmatched-notifications";
import { applyChange, type TaskStore } from "./task-store";

let store: TaskStore;
let unmatched: UnmatchedNotifications;

const notify = (taskId: string): void => unmatched.add({ type: "notified", notification: finished({ taskId }), at: 1 });
const send = (key: string): void => applyChange(store, { type: "added", key, data: key, at: 1 });

function accept(key: string, taskId: string): void {
  applyChange(store, { type: "accepted", key, taskId, at: 2 });
  unmatched.accepted(taskId);
}

const listed = (): string[] => [...store.values()].map(({ key, state }) => `${key} ${state}`);

beforeEach(() => {
  vi.useFakeTimers();
  store = new Map();
  unmatched = new UnmatchedNotifications(store, SYSTEM_CLOCK, (change) => applyChange(store, change));
});
afterEach(() => void vi.useRealTimers());

test("a notification of a task sent elsewhere is listed at once", () => {
  notify("t");
  expect(listed()).toEqual(["t finished"]);
});

test("a notification that arrives before the answer is never listed twice", () => {
  send("k");
  notify("t");
  expect(listed()).toEqual(["k pending"]);
  accept("k", "t");
  expect(listed()).toEqual(["k finished"]);
});

test("a notification of a known task does not wait for tasks that are being sent", () => {
  send("a");
  accept("a", "ta");
  send("b");
  notify("ta");
  expect(listed()).toEqual(["a finished", "b pending"]);
});

test("a notification of a task sent elsewhere waits a moment at most", () => {
  send("k");
  notify("t");
  vi.advanceTimersByTime(1_500);
  expect(listed()).toEqual(["k pending", "t finished"]);
});

test("what is still waiting at the end is listed then, and nothing later", () => {
  send("k");
  notify("t");
  unmatched.close();
  expect(listed()).toEqual(["k pending", "t finished"]);
  expect(vi.getTimerCount()).toBe(0);
});
