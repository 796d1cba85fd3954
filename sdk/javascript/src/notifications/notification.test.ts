import { describe, expect, test } from "vitest";
import { finished } from "../testing/fake-topic";
import { keyOf, parseItem, parseNotification } from "./notification";

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

  test("only the known fields are kept", () => {
    expect(parseNotification({ ...finished({}), html: "<b>" })).toEqual(finished({}));
  });

  test("one position in the topic has one key, whatever the text", () => {
    expect(keyOf(parseItem("same", "7", 1))).toBe(keyOf(parseItem("same", "7", 2)));
    expect(keyOf(parseItem("same", "7", 1))).not.toBe(keyOf(parseItem("same", "8", 1)));
  });
});
