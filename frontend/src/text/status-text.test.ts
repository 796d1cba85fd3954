import { describe, expect, test } from "vitest";
import type { ErrorData } from "notification-api-client";
import { statusMessage, unsentReason } from "./status-text";

const UNREACHABLE: ErrorData = { code: "network", message: "Failed to fetch", retryable: true };
const SENDING = { error: null, memoryOnly: false };
const delay = (error: ErrorData, memoryOnly = false): { error: ErrorData; memoryOnly: boolean } => ({
  error,
  memoryOnly,
});

function problem(status: number, message: string, requestId?: string): ErrorData {
  return { code: "unavailable", message, retryable: true, status, ...(requestId !== undefined && { requestId }) };
}

describe("the status message", () => {
  test.each([
    [UNREACHABLE, "The service cannot be reached."],
    [problem(429, "quota"), "You have reached your limit of tasks for now."],
    [problem(503, "down"), "The service is busy or temporarily unavailable."],
    [problem(500, "boom", "r-9"), "The service answered with an error (request r-9)."],
  ])("has the reason of a delay: %s", (error, words) => {
    const message = statusMessage("connected", null, delay(error));
    expect(message).toBe(`${words} Retrying automatically; your tasks are kept.`);
  });

  test("is empty without a problem", () => {
    for (const state of ["connected", "connecting", "idle"] as const)
      expect(statusMessage(state, null, SENDING)).toBeNull();
  });

  test("says while offline what happens to tasks", () => {
    expect(statusMessage("offline", null, SENDING)).toMatch(/kept/);
  });

  test("warns of tasks that would be lost with the page, whatever delays them", () => {
    for (const state of ["connected", "offline"] as const)
      expect(statusMessage(state, null, delay(UNREACHABLE, true))).toMatch(/keep this page open/);
  });

  test("mentions unsent tasks, unless something else is wrong", () => {
    expect(statusMessage("connected", null, SENDING, true)).toMatch(/were not sent/);
    expect(statusMessage("connected", null, delay(UNREACHABLE), true)).toMatch(/cannot be reached/);
    expect(statusMessage("offline", null, SENDING, true)).toMatch(/offline/);
  });

  test("includes an error's reason", () => {
    expect(statusMessage("reconnecting", problem(503, "x"), SENDING)).toMatch(/busy or temporarily unavailable/);
  });
});

test.each([
  [problem(500, "boom", "r-9"), "The service answered with an error (request r-9)."],
  [problem(404, "No such route", "r-9"), "No such route"],
  [UNREACHABLE, "The service cannot be reached."],
])("an unsent task says why: %s", (error, words) => {
  expect(unsentReason(error)).toBe(words);
});
