import { beforeEach, expect, test } from "vitest";
import { PendingTasks, MAX_CHARACTERS, MAX_PENDING_TASKS, MAX_TRIES, triesOf, type PendingTask } from "./pending-tasks";
import { FakeKeyValueStore } from "../testing/fake-key-value-store";

const task = (key: string, at = 1, data = "x"): PendingTask => ({ key, data, at });
const keys = (pending: PendingTasks): string[] => pending.all().map(({ key }) => key);

let store: FakeKeyValueStore;
let pending: PendingTasks;

beforeEach(() => {
  store = new FakeKeyValueStore();
  pending = new PendingTasks(store);
});

test("the oldest is first, whichever tab added it", () => {
  pending.add(task("b", 2));
  new PendingTasks(store).add(task("a", 1));
  expect(keys(pending)).toEqual(["a", "b"]);
});

test("a tab writes only what it adds or removes", () => {
  pending.add(task("a"));
  pending.add(task("b"));
  pending.remove(task("a"));
  expect(store.writes).toEqual(["a", "b", "a"]);
});

test("what storage does not take is kept while the page is open", () => {
  pending.add(task("a", 1));
  store.full = true;
  expect([pending.add(task("b", 2)), keys(pending), pending.memoryOnly]).toEqual([true, ["a", "b"], true]);
  expect(keys(new PendingTasks(store))).toEqual(["a"]);
  pending.remove(task("b"));
  expect([keys(pending), pending.memoryOnly]).toEqual([["a"], false]);
});

test("tries are saved, and a task with enough of them is unsent", () => {
  pending.add(task("a"));
  pending.add(task("b", 2));
  pending.update({ ...task("a"), tries: MAX_TRIES });
  pending.update({ ...task("b", 2), tries: MAX_TRIES - 1 });
  const reloaded = new PendingTasks(store);
  expect(reloaded.waiting().map(({ key }) => key)).toEqual(["b"]);
  expect(reloaded.unsent().map(({ key }) => key)).toEqual(["a"]);
  expect(keys(reloaded)).toEqual(["a", "b"]);
});

test("tries that storage does not take are kept in memory, and the task still survives a page load", () => {
  pending.add(task("a"));
  store.full = true;
  pending.update({ ...task("a"), tries: MAX_TRIES });
  expect([pending.unsent().length, pending.all().length, pending.memoryOnly]).toEqual([1, 1, false]);
  store.full = false;
  pending.update({ ...task("a"), tries: 0 });
  expect([pending.waiting().length, new PendingTasks(store).waiting().length]).toEqual([1, 1]);
});

test("a task that another tab has removed meanwhile is not written again", () => {
  pending.add(task("a"));
  new PendingTasks(store).remove({ key: "a" });
  pending.update({ ...task("a"), tries: 1 });
  expect([keys(pending), store.keys()]).toEqual([[], []]);
});

test.each([undefined, null, "5", Number.NaN])("damaged tries, %j, do not make a task unsent", (tries) => {
  store.values.set("a", JSON.stringify({ ...task("a"), tries }));
  expect(pending.waiting().map(triesOf)).toEqual([0]);
});

test("tasks are bounded in number", () => {
  for (let id = 0; id < MAX_PENDING_TASKS; id += 1) expect(pending.add(task(String(id)))).toBe(true);
  expect(pending.add(task("one more"))).toBe(false);
});

test("tasks are bounded in length, below what a browser stores", () => {
  const long = "x".repeat(MAX_CHARACTERS / 4 - 100);
  for (let id = 0; id < 4; id += 1) expect(pending.add(task(String(id), id, long))).toBe(true);
  expect(pending.add(task("one more", 5, "x".repeat(500)))).toBe(false);
});

test.each(["{", "null", '"text"', '{"key":"a"}'])("a damaged task, %s, is ignored", (value) => {
  store.values.set("a", value);
  pending.add(task("b"));
  expect(keys(pending)).toEqual(["b"]);
});
