import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Announcements, type Announcement } from "./announcements";

let onScreen: Set<string>;
let announcements: Announcements;

const end = (key: string): Announcement => ({
  key,
  status: "finished",
  headline: `Finished task: ${key}`,
  detail: null,
});
const shown = (): string[] => announcements.shown.value.map(({ key, isToast }) => `${key}${isToast ? " toast" : ""}`);
const collected = (): Promise<unknown> => vi.advanceTimersByTimeAsync(60);

beforeEach(() => {
  vi.useFakeTimers();
  onScreen = new Set();
  announcements = new Announcements((key) => onScreen.has(key));
});
afterEach(() => {
  announcements.clear();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("what is on screen is only read out, the rest is a toast", async () => {
  onScreen.add("a");
  for (const key of ["a", "b"]) announcements.add(end(key));
  await collected();
  expect(shown()).toEqual(["a", "b toast"]);
});

test("whether it is on screen counts when it is shown, not when it arrives", async () => {
  announcements.add(end("a"));
  onScreen.add("a");
  await collected();
  expect(shown()).toEqual(["a"]);
});

test("many at once are counted, apart from those on screen", async () => {
  onScreen.add("8");
  for (let number = 0; number < 10; number += 1) announcements.add(end(String(number)));
  await collected();
  expect([shown().length, announcements.more.value]).toEqual([4, 5]);
  await vi.advanceTimersByTimeAsync(8_000);
  expect([shown(), announcements.more.value]).toEqual([[], 0]);
});

test("nothing disappears while the user points at it", async () => {
  announcements.add(end("a"));
  await collected();
  announcements.hold(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(shown()).toEqual(["a toast"]);
  announcements.hold(false);
  await vi.advanceTimersByTimeAsync(8_000);
  expect(shown()).toEqual([]);
});

test("while the user points at them, none is replaced and the others stay counted", async () => {
  for (const key of ["a", "b", "c", "d"]) announcements.add(end(key));
  await collected();
  announcements.hold(true);
  await vi.advanceTimersByTimeAsync(5_000);
  announcements.add(end("e"));
  await vi.advanceTimersByTimeAsync(60_000);
  expect([shown().length, shown()[0], announcements.more.value]).toEqual([4, "a toast", 1]);
  announcements.hold(false);
  await vi.advanceTimersByTimeAsync(16_000);
  expect([shown(), announcements.more.value]).toEqual([[], 0]);
});

test("what is shown after the last one was closed disappears by itself", async () => {
  announcements.add(end("a"));
  await collected();
  announcements.hold(true); // by the focus, which goes with the closed toast
  announcements.dismiss(announcements.shown.value[0]?.id ?? -1);
  announcements.add(end("b"));
  await collected();
  await vi.advanceTimersByTimeAsync(8_000);
  expect(shown()).toEqual([]);
});

test("the user can close one, and all are closed at the end", async () => {
  for (const key of ["a", "b"]) announcements.add(end(key));
  await collected();
  announcements.dismiss(announcements.shown.value[0]?.id ?? -1);
  expect(shown()).toEqual(["b toast"]);
  announcements.add(end("c"));
  announcements.clear();
  await collected();
  expect(shown()).toEqual([]);
});
