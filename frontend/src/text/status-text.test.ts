import { describe, expect, test } from "vitest";
import { ServiceError } from "notification-api-client";
import { isSameError, statusMessage, unsentReason } from "./status-text";

describe("the status message", () => {
  const delay = (error: unknown, memoryOnly = false) => ({ error, memoryOnly });
  const error = { source: "token", message: "x", status: 503 } as const;

  test.each([
    [new TypeError("Failed to fetch"), "The service cannot be reached."],
    [new ServiceError("quota", 429, "r", 2_500), "You have reached your limit of tasks for now."],
    [new ServiceError("down", 503, "r", undefined), "The service is busy or temporarily unavailable."],
    [new ServiceError("boom", 500, "r-9", undefined), "The service answered with an error (request r-9)."],
  ])("has the reason of a delay: %s", (error, words) => {
    expect(statusMessage("live", null, delay(error))).toBe(`${words} Retrying automatically; your tasks are kept.`);
  });

  test("is empty without a problem", () => {
    expect([statusMessage("live", null, null), statusMessage("connecting", null, null)]).toEqual([null, null]);
  });

  test("says while offline what happens to tasks", () => {
    expect(statusMessage("offline", null, null)).toMatch(/kept/);
  });

  test("warns of tasks that would be lost with the page, whatever delays them", () => {
    for (const state of ["live", "offline"] as const)
      expect(statusMessage(state, null, delay(new TypeError(), true))).toMatch(/keep this page open/);
  });

  test("mentions unsent tasks, unless something else is wrong", () => {
    expect(statusMessage("live", null, null, true)).toMatch(/were not sent/);
    expect(statusMessage("live", null, delay(new TypeError()), true)).toMatch(/cannot be reached/);
    expect(statusMessage("offline", null, null, true)).toMatch(/offline/);
  });

  test.each([
    [new ServiceError("boom", 500, "r-9", undefined), "The service answered with an error (request r-9)."],
    [new ServiceError("No such route", 404, "r-9", undefined), "No such route"],
    [new TypeError("Failed to fetch"), "The service cannot be reached."],
  ])("has the reason why a task is unsent: %s", (error, words) => {
    expect(unsentReason(error)).toBe(words);
  });

  test("includes an error's reason", () => {
    expect(statusMessage("reconnecting", error, null)).toMatch(/busy or temporarily unavailable/);
  });

  test("is the same for errors of the same kind, whichever request failed", () => {
    const busy = new ServiceError("down", 503, "r-1", undefined);
    expect(isSameError(busy, new ServiceError("down", 503, "r-2", 1_000))).toBe(true);
    expect(isSameError(error, { ...error, requestId: "r-2" })).toBe(true);
    expect(isSameError(busy, new TypeError())).toBe(false);
    expect(isSameError(null, busy)).toBe(false);
  });
});
