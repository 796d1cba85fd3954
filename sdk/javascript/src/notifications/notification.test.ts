import { describe, expect, test } from "vitest";
import { finished } from "../testing/fake-topic";
import { keyOf, parseItem, parseNotification, parseReadUntil } from "./notification";

describe("notifications", () => {
  test.each([null, 1, "x", [], {}, { taskId: 1 }, { taskId: "", status: "finished", message: "" }])(
    "%j is not one",
    (value) => {
      expect(parseNotification(value)).toBeNull();
    },
  );

  test("nor is one with an unknown status", () => {
    expect(parseNotification({ ...finished({}), status: "exploded" })).toBeNull();
  });

  test("have the details that a service gives", () => {
    const details = {
      type: "report",
      data: { pages: 12 },
      truncated: true,
      input: [1, 2],
      attempt: 2,
      maxAttempts: 5,
      startedAt: 1_700_000_000_000,
      error: "Line 17 is empty",
      reason: "permanent",
    } as const;
    expect(parseNotification({ ...finished({}), ...details })).toEqual(finished(details));
  });

  test.each(["cancelled", "expired"] as const)("may be %s", (status) => {
    expect(parseNotification(finished({ status }))).toMatchObject({ status });
  });

  test.each([{ percent: 101 }, { percent: "5" }, { attempt: 0 }, { attempt: 1.5 }, { truncated: "yes" }, { type: "" }])(
    "are kept without a detail that is malformed: %j",
    (detail) => {
      expect(parseNotification({ ...finished({}), ...detail })).toEqual(finished({}));
    },
  );

  test.each([
    [{ percent: 1 }, { percent: 2 }],
    [{ attempt: 1 }, { attempt: 2 }],
    [{ time: 1_700_000_000_000 }, { time: 1_700_000_000_001 }],
  ])("about progress differ by more than their text: %j, %j", (one, other) => {
    const [a, b] = [one, other].map((facts) => keyOf(finished({ status: "progress", ...facts })));
    expect(a).not.toBe(b);
  });

  test.each([1e300, 8.64e15 + 1, 1.5, Number.NaN, "1", null])("have no time where it is %j", (time) => {
    const facts = { startedAt: time, nextAttemptAt: time };
    expect(parseNotification({ ...finished({}), ...facts, time })).toEqual(finished({ time: 0 }));
    expect(parseReadUntil({ readUntil: time })).toBeUndefined();
  });

  test("may have the last time of all", () => {
    expect(parseNotification(finished({ time: 8.64e15 }))?.time).toBe(8.64e15);
  });

  test("only the known fields are kept", () => {
    expect(parseNotification({ ...finished({}), html: "<b>" })).toEqual(finished({}));
  });

  test("one position in the topic has one key, whatever the text", () => {
    expect(keyOf(parseItem("same", "7", 1))).toBe(keyOf(parseItem("same", "7", 2)));
    expect(keyOf(parseItem("same", "7", 1))).not.toBe(keyOf(parseItem("same", "8", 1)));
  });
});
