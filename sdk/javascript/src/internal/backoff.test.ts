import { describe, expect, test } from "vitest";
import { backoffMs } from "./backoff";

describe("backoff", () => {
  const policy = { baseMs: 1_000, capMs: 30_000 };

  test.each([0, 1, 3, 5, 100, 1e6])("attempt %i stays between half of its ceiling and the cap", (attempt) => {
    const ceiling = Math.min(30_000, 1_000 * 2 ** Math.min(attempt, 30));
    expect(backoffMs(policy, attempt, () => 0)).toBe(ceiling / 2);
    expect(backoffMs(policy, attempt, () => 0.999_999)).toBeLessThanOrEqual(30_000);
  });

  test("a Retry-After is a minimum, spread over one second", () => {
    expect(backoffMs(policy, 0, () => 0, 5_000)).toBe(5_000);
    expect(backoffMs(policy, 0, () => 0.5, 5_000)).toBe(5_500);
  });
});
