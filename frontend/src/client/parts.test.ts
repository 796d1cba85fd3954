import { describe, expect, test } from "vitest";
import { backoffMs } from "./backoff";
import { request, retryAfterMs, SignedOutError } from "./http";
import { asNotification, keyOf, parseItem } from "./notification";
import { Seen } from "./seen";
import { FakeClock } from "./testing/fake-clock";
import { finished } from "./testing/fake-topic";
import { FakeMemory } from "./testing/harness";
import { Watchdog } from "./watchdog";

describe("backoff", () => {
  const policy = { baseMs: 1_000, capMs: 30_000 };

  test.each([0, 1, 3, 5, 100, 1e6])("attempt %i stays between half of its ceiling and the cap", (attempt) => {
    const ceiling = Math.min(30_000, 1_000 * 2 ** Math.min(attempt, 30));
    expect(backoffMs(policy, attempt, () => 0)).toBe(ceiling / 2);
    expect(backoffMs(policy, attempt, () => 0.999_999)).toBeLessThanOrEqual(30_000);
  });

  test("a Retry-After is a floor, spread over a second", () => {
    expect(backoffMs(policy, 0, () => 0, 5_000)).toBe(5_000);
    expect(backoffMs(policy, 0, () => 0.5, 5_000)).toBe(5_500);
  });
});

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
    expect(retryAfterMs(new Headers({ "retry-after": value }), 1_000)).toBe(expected);
  });

  test("absent", () => {
    expect(retryAfterMs(new Headers())).toBeUndefined();
  });
});

describe("notifications", () => {
  test.each([null, 1, "x", [], {}, { taskId: 1 }, { taskId: "", status: "finished", message: "" }])(
    "%j is none",
    (value) => {
      expect(asNotification(value)).toBeNull();
    },
  );

  test("an unknown status is none", () => {
    expect(asNotification({ ...finished({}), status: "exploded" })).toBeNull();
  });

  test("nothing but the known fields is kept", () => {
    expect(asNotification({ ...finished({}), html: "<b>" })).toEqual(finished({}));
  });

  test("one place in the topic has one key, whatever the text", () => {
    expect(keyOf(parseItem("same", "7", 1))).toBe(keyOf(parseItem("same", "7", 2)));
    expect(keyOf(parseItem("same", "7", 1))).not.toBe(keyOf(parseItem("same", "8", 1)));
  });
});

describe("what was seen", () => {
  test("is bounded, and forgets the oldest first", () => {
    const seen = new Seen(new FakeMemory());
    for (let id = 0; id < 2_000; id += 1) seen.add(finished({ taskId: `t${id}` }));
    for (const id of [1_999, 1_300]) expect(seen.add(finished({ taskId: `t${id}` }))).toBe(false);
    expect(seen.add(finished({ taskId: "t0" }))).toBe(true);
  });

  test("outlives the page", () => {
    const memory = new FakeMemory();
    const seen = new Seen(memory);
    seen.add(finished({ time: 42 }));
    seen.caughtUp("c42");
    seen.save();
    const next = new Seen(memory);
    expect([next.cursor, next.hasPast, next.add(finished({}))]).toEqual(["c42", true, false]);
  });

  test.each(["{", "null", "7", '{"cursor":"x"}', '{"cursor":1}', '{"cursor":"x","keys":[1]}', '{"keys":[]}'])(
    "survives a damaged memory: %s",
    (value) => {
      const memory = new FakeMemory();
      memory.value = value;
      expect(new Seen(memory).hasPast).toBe(false);
    },
  );

  test("is certain up to the last cursor, whatever came live and whatever time it bears", () => {
    const seen = new Seen(new FakeMemory());
    seen.caughtUp("c7");
    seen.add(finished({ time: 9_999_999_999_999 }));
    expect(seen.cursor).toBe("c7");
    seen.caughtUp(null);
    expect([seen.cursor, seen.hasPast]).toEqual([null, true]);
  });

  test("of the version before, whose cursor was a time, keeps its keys and its past", () => {
    const memory = new FakeMemory();
    memory.value = JSON.stringify({ cursor: 1_700_000_000_000, keys: ["t1\nfinished"], bareText: false });
    const seen = new Seen(memory);
    expect([seen.cursor, seen.hasPast, seen.add(finished({}))]).toEqual([null, true, false]);
    seen.save();
    expect(new Seen(memory).hasPast).toBe(true);
  });

  test("keeps its own cursor where a tab of the version before has written meanwhile", () => {
    const memory = new FakeMemory();
    const seen = new Seen(memory);
    seen.caughtUp("c1");
    memory.value = JSON.stringify({ cursor: 1_700_000_000_000, keys: ["other\nfinished"] });
    seen.recall();
    expect([seen.cursor, seen.add(finished({ taskId: "other" }))]).toEqual(["c1", false]);
  });

  test("without its cursor is asked for from the beginning, and still has a past", () => {
    const memory = new FakeMemory();
    const seen = new Seen(memory);
    seen.caughtUp("c1");
    seen.dropCursor();
    seen.save();
    const next = new Seen(memory);
    expect([next.cursor, next.hasPast]).toEqual([null, true]);
    next.forget();
    expect(next.hasPast).toBe(false);
  });

  test("does not write down what no catch-up brings again", () => {
    const memory = new FakeMemory();
    const seen = new Seen(memory);
    for (const news of [parseItem("plain", "1", 1), finished({ status: "progress" }), finished({ taskId: "a" })]) {
      expect([seen.add(news), seen.add(news)]).toEqual([true, false]);
    }
    seen.save();
    expect(JSON.parse(memory.value ?? "")).toMatchObject({ cursor: null, keys: ["a\nfinished"] });
  });
});

describe("the watchdog", () => {
  function watchdog(): { clock: FakeClock; dog: Watchdog; barks: () => number } {
    const clock = new FakeClock();
    let barks = 0;
    const dog = new Watchdog(clock, { initialMs: 45_000, minMs: 5_000, maxMs: 90_000 }, () => (barks += 1));
    return { clock, dog, barks: () => barks };
  }

  test.each([
    ["before any distance is known", 0, 45_000],
    ["with frequent heartbeats", 1_000, 5_000],
    ["with the usual", 15_000, 45_000],
    ["with rare ones", 80_000, 90_000],
  ])("bears silence: %s", async (_, interval, tolerance) => {
    const { clock, dog, barks } = watchdog();
    dog.start();
    if (interval > 0) {
      clock.sleep(interval);
      dog.heartbeat();
    }
    await clock.advance(tolerance - 1);
    expect(barks()).toBe(0);
    await clock.advance(1);
    expect(barks()).toBe(1);
  });

  test("takes items for a sign of life", async () => {
    const { clock, dog, barks } = watchdog();
    dog.start();
    for (let passed = 0; passed < 200; passed += 1) {
      await clock.advance(10_000);
      dog.sign();
    }
    expect(barks()).toBe(0);
  });

  test("is quiet once stopped", async () => {
    const { clock, dog, barks } = watchdog();
    dog.start();
    dog.stop();
    dog.check();
    await clock.advance(1e6);
    expect(barks()).toBe(0);
  });
});

describe("a request", () => {
  test("sends the token, no cookie, and asks no cache", async () => {
    const sent: RequestInit[] = [];
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      sent.push(init ?? {});
      return new Response();
    };
    await request({ fetch, getIdToken: async () => "id" }, "http://x.test/", { headers: { "idempotency-key": "k" } });
    expect(new Headers(sent[0]?.headers).get("authorization")).toBe("Bearer id");
    expect(new Headers(sent[0]?.headers).get("idempotency-key")).toBe("k");
    expect(sent[0]).toMatchObject({ credentials: "omit", cache: "no-store" });
  });

  test("is not sent when nobody is signed in", async () => {
    const http = { fetch: () => Promise.reject(new Error("sent")), getIdToken: async () => null };
    await expect(request(http, "http://x.test/")).rejects.toBeInstanceOf(SignedOutError);
  });

  test("tells the service's own words, and a status where it has none", async () => {
    const http = { getIdToken: async () => "id", fetch: async () => new Response("<html>", { status: 502 }) };
    await expect(request(http, "http://x.test/")).rejects.toMatchObject({
      message: "The service answered 502",
      status: 502,
    });
  });
});
