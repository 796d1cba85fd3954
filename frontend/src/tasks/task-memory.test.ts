import { expect, test } from "vitest";
import { FakeMemory } from "../client/testing/harness";
import { apply, type Book } from "./task-book";
import { TaskMemory } from "./task-memory";

test("a long task is written down as far as the list shows it, cut at a character", () => {
  const memory = new FakeMemory();
  const book: Book = new Map();
  for (const [key, data] of [
    ["short", "do it"],
    ["long", `x${"😀".repeat(100_000)}`],
  ] as const)
    apply(book, { type: "added", key, data, at: 1 });
  new TaskMemory(memory, book).saveNow();
  const restored: Book = new Map();
  new TaskMemory(memory, restored).load();
  expect(restored.get("short")?.data).toBe("do it");
  expect(restored.get("long")?.data).toBe(`x${"😀".repeat(499)}…`);
});

test("a damaged memory is an empty list", () => {
  const memory = new FakeMemory();
  memory.value = "{";
  const book: Book = new Map();
  new TaskMemory(memory, book).load();
  expect([book.size, memory.value]).toEqual([0, null]);
});
