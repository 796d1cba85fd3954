import { describe, expect, test } from "vitest";
import { parseRetryAfterMs } from "./retry-after";

describe("Retry-After", () => {
  test.each([
    ["120", 120_000],
    ["0", 0],
    ["Thu, 01 Jan 1970 00:00:10 GMT", 9_000],
    ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
    ["soon", undefined],
    ["9999999999", 86_400_000],
    ["9".repeat(400), 86_400_000],
    ["Fri, 31 Dec 9999 23:59:59 GMT", 86_400_000],
  ])("%s", (value, expected) => {
    expect(parseRetryAfterMs(new Headers({ "retry-after": value }), 1_000)).toBe(expected);
  });

  test("absent", () => {
    expect(parseRetryAfterMs(new Headers())).toBeUndefined();
  });
});
