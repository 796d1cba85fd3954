import type { NotificationList, Notifications } from "notification-api-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Reading } from "./reading";

let unread: number;
let marked: number;
let counts: number[];
let listener: () => void;
let page: EventTarget & { visibilityState: string };
let closing: AbortController;
let reading: Reading;

function arrive(): void {
  unread += 1;
  listener();
}

beforeEach(() => {
  vi.useFakeTimers();
  [unread, marked, counts, closing] = [0, 0, [], new AbortController()];
  page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  vi.stubGlobal("document", page);
  vi.stubGlobal("scrollY", 0);
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  reading = new Reading({
    getSnapshot: () => ({ unread }) as NotificationList,
    subscribe: (each: () => void) => {
      listener = each;
      return () => undefined;
    },
    markRead: () => {
      marked += 1;
      unread = 0;
    },
  } as Notifications);
  reading.watchPage(closing.signal, (count) => counts.push(count));
});
afterEach(() => {
  closing.abort();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("what arrives is unread until the top was on screen for a second", () => {
  arrive();
  expect([counts, marked]).toEqual([[0, 1], 0]);
  vi.advanceTimersByTime(1_000);
  expect([marked, unread]).toEqual([1, 0]);
  arrive();
  expect(counts.at(-1)).toBe(0);
});

test("nothing is read while the page is hidden", () => {
  page.visibilityState = "hidden";
  page.dispatchEvent(new Event("visibilitychange"));
  arrive();
  vi.advanceTimersByTime(60_000);
  expect([counts.at(-1), marked]).toEqual([1, 0]);
});

test("the top of the list is read once the list shows all tasks again", () => {
  reading.setWholeList(false);
  arrive();
  vi.advanceTimersByTime(2_000);
  expect(unread).toBe(1);
  reading.setWholeList(true);
  expect(unread).toBe(0);
});
