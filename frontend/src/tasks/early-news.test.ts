import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { finished } from "../client/testing/fake-topic";
import { EarlyNews } from "./early-news";
import { apply, type Book } from "./task-book";

let book: Book;
let early: EarlyNews;

const tell = (taskId: string): void => early.add({ type: "told", news: finished({ taskId }), at: 1 });
const send = (key: string): void => apply(book, { type: "added", key, data: key, at: 1 });

function accept(key: string, taskId: string): void {
  apply(book, { type: "accepted", key, taskId, at: 2 });
  early.accepted(taskId);
}

const listed = (): string[] => [...book.values()].map(({ key, state }) => `${key} ${state}`);

beforeEach(() => {
  vi.useFakeTimers();
  book = new Map();
  early = new EarlyNews(book, (told) => apply(book, told));
});
afterEach(() => void vi.useRealTimers());

test("news of a task sent elsewhere is listed at once", () => {
  tell("t");
  expect(listed()).toEqual(["t finished"]);
});

test("news that is faster than the answer is never listed twice", () => {
  send("k");
  tell("t");
  expect(listed()).toEqual(["k kept"]);
  accept("k", "t");
  expect(listed()).toEqual(["k finished"]);
});

test("news of a known task does not wait for others that are being sent", () => {
  send("a");
  accept("a", "ta");
  send("b");
  tell("ta");
  expect(listed()).toEqual(["a finished", "b kept"]);
});

test("news of a task sent elsewhere waits a moment at most", () => {
  send("k");
  tell("t");
  vi.advanceTimersByTime(1_500);
  expect(listed()).toEqual(["k kept", "t finished"]);
});

test("what still waits at the end is listed then, and nothing later", () => {
  send("k");
  tell("t");
  early.close();
  expect(listed()).toEqual(["k kept", "t finished"]);
  expect(vi.getTimerCount()).toBe(0);
});
