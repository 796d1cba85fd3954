import { describe, expect, test } from "vitest";
import { finished } from "../testing/fake-topic";
import { FakeStoredValue } from "../testing/harness";
import { parseItem } from "./notification";
import { SeenNotifications } from "./seen-notifications";

describe("seen notifications", () => {
  test("are bounded, and the oldest are evicted first", () => {
    const seen = new SeenNotifications(new FakeStoredValue());
    for (let id = 0; id < 2_000; id += 1) seen.add(finished({ taskId: `t${id}` }));
    for (const id of [1_999, 1_300]) expect(seen.add(finished({ taskId: `t${id}` }))).toBe(false);
    expect(seen.add(finished({ taskId: "t0" }))).toBe(true);
  });

  test("survive a page load", () => {
    const storage = new FakeStoredValue();
    const seen = new SeenNotifications(storage);
    seen.add(finished({ time: 42 }));
    seen.markCaughtUp("c42");
    seen.save();
    const next = new SeenNotifications(storage);
    expect([next.cursor, next.hasCaughtUp, next.add(finished({}))]).toEqual(["c42", true, false]);
  });

  test.each(["{", "null", "7", '{"cursor":"x"}', '{"cursor":1}', '{"cursor":"x","keys":[1]}', '{"keys":[]}'])(
    "survive damaged storage: %s",
    (value) => {
      const storage = new FakeStoredValue();
      storage.value = value;
      expect(new SeenNotifications(storage).hasCaughtUp).toBe(false);
    },
  );

  test("keep the cursor of the last catch-up, whatever arrived live and whatever its time", () => {
    const seen = new SeenNotifications(new FakeStoredValue());
    seen.markCaughtUp("c7");
    seen.add(finished({ time: 9_999_999_999_999 }));
    expect(seen.cursor).toBe("c7");
    seen.markCaughtUp(null);
    expect([seen.cursor, seen.hasCaughtUp]).toEqual([null, true]);
  });

  test("of an earlier version, whose cursor was a time, keep their keys and count as caught up", () => {
    const storage = new FakeStoredValue();
    storage.value = JSON.stringify({ cursor: 1_700_000_000_000, keys: ["t1\nfinished"], plainText: false });
    const seen = new SeenNotifications(storage);
    expect([seen.cursor, seen.hasCaughtUp, seen.add(finished({}))]).toEqual([null, true, false]);
    seen.save();
    expect(new SeenNotifications(storage).hasCaughtUp).toBe(true);
  });

  test("keep their cursor where a tab of an earlier version has written meanwhile", () => {
    const storage = new FakeStoredValue();
    const seen = new SeenNotifications(storage);
    seen.markCaughtUp("c1");
    storage.value = JSON.stringify({ cursor: 1_700_000_000_000, keys: ["other\nfinished"] });
    seen.load();
    expect([seen.cursor, seen.add(finished({ taskId: "other" }))]).toEqual(["c1", false]);
  });

  test("without a cursor lead to a request for the whole history, and still count as caught up", () => {
    const storage = new FakeStoredValue();
    const seen = new SeenNotifications(storage);
    seen.markCaughtUp("c1");
    seen.dropCursor();
    seen.save();
    const next = new SeenNotifications(storage);
    expect([next.cursor, next.hasCaughtUp]).toEqual([null, true]);
    next.clear();
    expect(next.hasCaughtUp).toBe(false);
  });

  test("do not include what no catch-up returns", () => {
    const storage = new FakeStoredValue();
    const seen = new SeenNotifications(storage);
    for (const notification of [
      parseItem("plain", "1", 1),
      finished({ status: "progress" }),
      finished({ taskId: "a" }),
    ]) {
      expect([seen.add(notification), seen.add(notification)]).toEqual([true, false]);
    }
    seen.save();
    expect(JSON.parse(storage.value ?? "")).toMatchObject({ cursor: null, keys: ["a\nfinished"] });
  });
});
