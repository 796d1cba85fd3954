import { expect, test } from "vitest";
import { duration, timeAgo, timeUntil } from "./time-text";

const NOW = Date.UTC(2026, 10, 27, 12);

test.each([
  [-3_000, "just now"],
  [4_999, "just now"],
  [5_000, "5 s ago"],
  [59_999, "59 s ago"],
  [120_000, "2 min ago"],
  [2 * 3_600_000, "2 h ago"],
])("%i ms ago is %s", (ms, text) => {
  expect(timeAgo(NOW - ms, NOW)).toBe(text);
});

test("more than a day ago is a date", () => {
  expect(timeAgo(NOW - 3 * 86_400_000, NOW)).toMatch(/2026/);
});

test.each([
  [-1, "now"],
  [999, "now"],
  [8_200, "in 8 s"],
  [240_000, "in 4 min"],
])("%i ms from now is %s", (ms, text) => {
  expect(timeUntil(NOW + ms, NOW)).toBe(text);
});

test.each([
  [0, "< 0.1 s"],
  [40, "< 0.1 s"],
  [412, "0.4 s"],
  [5_000, "5 s"],
  [125_000, "2 min 5 s"],
  [120_000, "2 min"],
  [4_200_000, "1 h 10 min"],
])("%i ms lasts %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});
