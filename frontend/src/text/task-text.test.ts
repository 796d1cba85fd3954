import { describe, expect, test } from "vitest";
import { taskBodyBytes } from "notification-api-client";
import { DEFAULT_MAX_BODY_BYTES } from "../platform/config";
import { splitTasks } from "./task-text";

const PER_LINE = { onePerLine: true };

describe("splitting the text into tasks", () => {
  test("makes each line a task, except blank ones", () => {
    expect(splitTasks(" a \n\n\t\r\nb\n", PER_LINE)).toEqual({ tasks: ["a", "b"], error: null });
  });

  test("makes a text of several lines one task, unless asked otherwise", () => {
    expect(splitTasks(" a\n b\n", { onePerLine: false })).toEqual({ tasks: ["a\n b"], error: null });
  });

  test("counts the bytes of what is sent with each task", () => {
    const limit = { onePerLine: false, maxBodyBytes: 30 };
    expect(splitTasks("x".repeat(15), limit).error).toBeNull();
    expect(splitTasks("x".repeat(15), { ...limit, options: { type: "report" } }).error).toMatch(/too long/);
  });

  test.each([
    ["", "Enter a task."],
    ["a\n".repeat(51), "At most 50 tasks at once; these are 51."],
    ["😀".repeat(70_000), "This task is too long: 280,011 bytes as it is sent, where the service accepts 262,144."],
  ])("reports an error for the user", (text, error) => {
    expect(splitTasks(text, PER_LINE).error).toBe(error);
  });

  const OVERHEAD = '{"data":""}'.length;
  test.each([
    ["letters", "a", 1],
    ["quotes", '"', 2],
    ["backslashes", "\\", 2],
    ["control characters", "\u0001", 6],
    ["lone surrogates", "\ud83d", 6],
    ["letters of two bytes", "ж", 2],
    ["characters of four bytes", "😀", 4],
    ["line separators", "x\u2028x", 5],
  ])("counts the bytes of the request: %s", (_, character, bytes) => {
    const fits = character.repeat(Math.floor((DEFAULT_MAX_BODY_BYTES - OVERHEAD) / bytes));
    expect(splitTasks(fits, PER_LINE)).toEqual({ tasks: [fits], error: null });
    expect(taskBodyBytes(fits)).toBeGreaterThan(DEFAULT_MAX_BODY_BYTES - bytes);
    expect(splitTasks(fits + character, PER_LINE).error).toMatch(/too long/);
  });

  test("uses a given limit, and finds the one line that is over it", () => {
    expect(splitTasks(`short\n${'"'.repeat(45)}`, { ...PER_LINE, maxBodyBytes: 100 }).error).toContain(
      "101 bytes as it is sent, where the service accepts 100",
    );
    expect(splitTasks(`short\n${'"'.repeat(44)}`, { ...PER_LINE, maxBodyBytes: 100 }).error).toBeNull();
  });
});
