import { expect, test } from "vitest";
import { optionsText } from "./task-options";

test.each([
  [{}, "Options"],
  [{ type: "report" }, "Options"],
  [{ delaySeconds: 900 }, "Options: in 15 minutes"],
  [{ delaySeconds: 10, ttlSeconds: 3_600 }, "Options: in 10 seconds, expires after 1 hour"],
])("the options %j are shown as %s", (options, text) => {
  expect(optionsText(options)).toBe(text);
});
