import { describe, expect, test, vi } from "vitest";
import type { Connection } from "./connection";
import { settle } from "../testing/fake-clock";
import { problemResponse } from "../testing/fake-service";
import { finished } from "../testing/fake-topic";
import { Harness } from "../testing/harness";
import { StreamError } from "../api/errors";

const MINUTE = 60_000;

describe("connecting", () => {
  test("subscribes with the token's own topic and is live at the first message", async () => {
    const h = new Harness();
    h.topic.accepting = false;
    const client = await h.live();
    expect(client.state).toBe("connecting");
    expect(h.topic.last.token.topic).toBe("alice");
    h.topic.last.accept();
    await settle();
    expect(h.states).toEqual(["connecting", "connected"]);
  });

  test("a stream that never opens is closed, so that it occupies no connection, and another is tried", async () => {
    const h = new Harness();
    h.topic.accepting = false;
    await h.live();
    await h.clock.advance(10_100);
    expect(h.topic.streams[0]?.closed).toBe(true);
    expect(h.states).toEqual(["connecting", "reconnecting"]);
    h.topic.accepting = true;
    await h.clock.advance(2_000);
    expect(h.states).toEqual(["connecting", "reconnecting", "connected"]);
  });

  test("is retried without end, with backoff up to the cap", async () => {
    const h = new Harness();
    const client = await h.live({ fetch: () => Promise.reject(new TypeError("Failed to fetch")) });
    await h.clock.advance(60 * MINUTE);
    const before = h.errors.length;
    await h.clock.advance(60 * MINUTE);
    expect(client.state).toBe("reconnecting");
    expect(h.errors.length - before).toBeGreaterThanOrEqual(240); // every 15 s at most
    expect(h.errors.length - before).toBeLessThanOrEqual(480); // every 7.5 s at least
  });

  test("a Retry-After is honoured", async () => {
    const h = new Harness();
    h.service.reply("/token", problemResponse(503, "Momento is down", { "retry-after": "20" }));
    await h.live();
    await h.clock.advance(19_900);
    expect(h.service.count("/token")).toBe(1);
    await h.clock.advance(1_000);
    expect(h.states.at(-1)).toBe("connected");
    expect(h.errors).toMatchObject([
      { source: "token", message: "Momento is down", status: 503, requestId: "r-1", retryAfterMs: 20_000 },
    ]);
  });

  test("an incomplete answer of the token service is reported as an error", async () => {
    const h = new Harness();
    h.service.reply("/token", Response.json({ token: "x" }));
    await h.live();
    expect(h.errors[0]?.message).toMatch(/incomplete/);
    expect(h.states).toEqual(["connecting", "reconnecting"]);
  });
});

describe("an id token that never arrives", () => {
  test("times out and is requested again", async () => {
    const h = new Harness();
    const limit = vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
      const controller = new AbortController();
      h.clock.setTimeout(() => controller.abort(new DOMException("Timed out", "TimeoutError")), ms);
      return controller.signal;
    });
    let isHanging = true;
    await h.live({ getIdToken: () => (isHanging ? new Promise(() => undefined) : Promise.resolve("id-1")) });
    await h.clock.advance(16_000);
    expect([h.states, h.errors]).toMatchObject([
      ["connecting", "reconnecting"],
      [{ source: "token", code: "id_token", message: "getIdToken failed: Timed out" }],
    ]);
    isHanging = false;
    await h.clock.advance(20_000);
    expect(h.states.at(-1)).toBe("connected");
    limit.mockRestore();
  });
});

describe("an expired id token", () => {
  test("is refreshed once, without an error", async () => {
    const h = new Harness();
    h.service.validIdTokens = new Set(["id-2"]);
    h.refreshed = "id-2";
    const client = await h.live();
    expect([client.state, h.refreshes > 0, h.errors]).toEqual(["connected", true, []]);
  });

  test.each([
    ["cannot be refreshed", null],
    ["is refused again when refreshed", "id-9"],
  ])("that %s signs out", async (_, refreshed) => {
    const h = new Harness();
    h.service.validIdTokens.clear();
    h.refreshed = refreshed;
    const client = await h.live();
    expect([client.state, h.refreshes]).toEqual(["signed-out", 1]);
    await h.clock.advance(10 * MINUTE);
    expect(h.service.count("/token")).toBeLessThanOrEqual(2);
  });

  test("found at catch-up signs out too, and closes the stream", async () => {
    const h = new Harness();
    h.service.reply("/notifications", problemResponse(401, "expired"), problemResponse(401, "expired"));
    h.refreshed = "id-2";
    const client = await h.live();
    expect([client.state, h.topic.openCount]).toEqual(["signed-out", 0]);
  });
});

describe("a notification", () => {
  test("is emitted as it arrives", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.item({ taskId: "a", message: "Finished task: 🎉 <b>" });
    expect(h.notifications).toEqual([
      finished({ taskId: "a", message: "Finished task: 🎉 <b>", source: "live" } as never),
    ]);
  });

  test("is emitted once for each task and status", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.item({ taskId: "a", status: "progress", message: "1 of 2" });
    h.topic.last.item({ taskId: "a", status: "progress", message: "1 of 2" });
    h.topic.last.item({ taskId: "a", status: "progress", message: "2 of 2" });
    h.topic.last.item({ taskId: "a" });
    h.topic.last.item({ taskId: "a" });
    expect(h.notifications.map(({ message }) => message)).toEqual(["1 of 2", "2 of 2", "Finished task: x"]);
  });

  test("in plain text, as NOTIFICATION_FORMAT=text sends it, is emitted", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.item("Finished task: plain");
    h.topic.last.item('{"foreign":"json"}');
    expect(h.notifications.map(({ message }) => message)).toEqual(["Finished task: plain", '{"foreign":"json"}']);
  });

  test.each(["", '{"readUntil":5}', '{"notificationId":"n"}', '{"taskId":"a","status":"of a later version"}', "[1]"])(
    "is not what another message is: %s",
    async (text) => {
      const h = new Harness();
      await h.live();
      h.topic.last.item(text);
      expect(h.notifications).toEqual([]);
    },
  );

  test("reaches the other listeners when one throws", async () => {
    const h = new Harness();
    const client = h.client();
    const errors: unknown[] = [];
    const original = console.error;
    console.error = (...all: unknown[]) => void errors.push(all);
    client.on("notification", () => {
      throw new Error("mine");
    });
    const received: string[] = [];
    client.on("notification", ({ taskId }) => void received.push(taskId));
    client.start();
    await settle();
    h.topic.last.item({ taskId: "a" });
    console.error = original;
    expect([received, errors.length]).toEqual([["a"], 1]);
  });

  test("does not reach a listener that was removed", async () => {
    const h = new Harness();
    const client = await h.live();
    const received: string[] = [];
    const remove = client.on("notification", ({ taskId }) => void received.push(taskId));
    h.topic.last.item({ taskId: "a" });
    remove();
    h.topic.last.item({ taskId: "b" });
    expect(received).toEqual(["a"]);
  });
});

describe("token renewal", () => {
  test("happens before half of the token's lifetime and leaves no gap", async () => {
    const h = new Harness();
    await h.live();
    await beat(h, 12 * MINUTE);
    expect(h.topic.streams).toHaveLength(1);
    h.topic.accepting = false;
    await beat(h, 0.9 * MINUTE);
    const [old, next] = h.topic.streams;
    expect(next?.token.token).not.toBe(old?.token.token);
    expect(old?.closed).toBe(false);
    next?.accept();
    await settle();
    old?.item({ taskId: "on its way on the old" });
    next?.item({ taskId: "on its way on the old" });
    next?.item({ taskId: "on the new" });
    await h.clock.advance(3_000);
    expect(old?.closed).toBe(true);
    expect(h.received).toEqual(["on its way on the old", "on the new"]);
    expect(h.states).toEqual(["connecting", "connected"]);
  });

  test("that yields the same shared token opens no new stream", async () => {
    const h = new Harness();
    h.service.sharedToken = "shared";
    await h.live();
    await beat(h, 14 * MINUTE);
    expect(h.service.count("/token")).toBeGreaterThan(1);
    expect(h.topic.streams).toHaveLength(1);
  });

  test("that fails leaves the stream open and is tried again", async () => {
    const h = new Harness();
    await h.live();
    h.service.reply("/token", problemResponse(503, "down"), problemResponse(503, "down"));
    await beat(h, 16 * MINUTE);
    expect(h.states).toEqual(["connecting", "connected"]);
    expect(h.topic.last.token.token).not.toBe(h.topic.streams[0]?.token.token);
  });

  test("whose stream does not open closes it and keeps the current one", async () => {
    const h = new Harness();
    await h.live();
    h.topic.accepting = false;
    await beat(h, 13.2 * MINUTE);
    expect(h.topic.streams.map(({ closed }) => closed).slice(0, 2)).toEqual([false, true]);
    expect(h.states).toEqual(["connecting", "connected"]);
  });

  test("does not loop when this machine's clock is far ahead", async () => {
    const h = new Harness();
    h.service.lifetimeSeconds = -3600;
    await h.live();
    await beat(h, 5 * MINUTE);
    expect(h.service.count("/token")).toBe(1);
  });

  test("happens in time on a machine whose clock is far behind", async () => {
    const h = new Harness();
    h.service.clockAheadMs = 36 * MINUTE;
    await h.live();
    await beat(h, 14 * MINUTE);
    expect(h.topic.streams.map(({ token }) => token.token)).toEqual(["disposable-1", "disposable-2"]);
  });

  test("catches up on what the replaced stream missed after it had died unnoticed", async () => {
    const h = new Harness();
    await h.live();
    await beat(h, 12.75 * MINUTE);
    h.service.history = [finished({ taskId: "a" })];
    await h.clock.advance(0.25 * MINUTE);
    expect([h.topic.streams.length, h.states, h.received]).toEqual([2, ["connecting", "connected"], ["a"]]);
  });

  test("of an oversized stream that fails waits like any other, however often it is asked for", async () => {
    const h = new Harness();
    await h.live();
    h.service.reply("/token", ...Array.from({ length: 99 }, () => problemResponse(503, "down")));
    for (let second = 0; second < 60; second += 1) {
      h.topic.last.listener.oversized();
      await beat(h, 1_000);
    }
    expect(h.service.count("/token")).toBeLessThan(12);
  });

  test("replaces an oversized stream, also where the token is still the same", async () => {
    const h = new Harness();
    h.service.sharedToken = "shared";
    await h.live();
    h.topic.last.listener.oversized();
    await h.clock.advance(3_000);
    expect(h.topic.streams.map(({ closed }) => closed)).toEqual([true, false]);
  });

  test("resumes where the replaced stream was", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.item({ taskId: "a" });
    h.topic.last.item({ taskId: "b" });
    await beat(h, 13 * MINUTE);
    expect(h.topic.streams.map(({ resumedAt }) => resumedAt)).toEqual([undefined, "1"]);
  });
});

describe("a lost connection", () => {
  test("is reopened, and nothing is missed", async () => {
    const h = new Harness();
    await h.live();
    h.service.history = [finished({ taskId: "in the gap" })];
    h.topic.last.listener.ended(new StreamError("broken"));
    expect(h.states).toEqual(["connecting", "connected", "reconnecting"]);
    await h.clock.advance(1_000);
    expect(h.topic.streams.map(({ closed }) => closed)).toEqual([true, false]);
    expect(h.notifications).toMatchObject([{ taskId: "in the gap", source: "catch-up" }]);
  });

  test("resumes at its last position, also after attempts that fail", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.item({ taskId: "a" });
    h.topic.accepting = false;
    h.topic.last.listener.ended(new StreamError("broken"));
    await h.clock.advance(1_000);
    h.topic.last.refuse();
    await h.clock.advance(3_000);
    expect(h.topic.streams.map(({ resumedAt }) => resumedAt)).toEqual([undefined, "0", "0"]);
  });

  test("that breaks again and again is reopened with backoff", async () => {
    const h = new Harness();
    const client = await h.live();
    for (let second = 0; second < 60; second += 1) {
      if (client.state === "connected") h.topic.last.listener.ended(new StreamError("broken"));
      await h.clock.advance(1_000);
    }
    expect(h.topic.streams.length).toBeLessThan(12);
  });

  test("that ends with a refused token gets another token", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.listener.ended(new StreamError("expired", true));
    await h.clock.advance(1_000);
    expect(h.topic.streams.map(({ token }) => token.token)).toEqual(["disposable-1", "disposable-2"]);
  });

  test("that ends for another reason keeps its token, as tokens are limited", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.listener.ended(new StreamError("unavailable"));
    await h.clock.advance(1_000);
    expect([h.topic.streams.length, h.service.count("/token")]).toEqual([2, 1]);
  });

  test("is detected by missing heartbeats", async () => {
    const h = new Harness();
    await h.live();
    for (let beats = 0; beats < 5; beats += 1) {
      await h.clock.advance(10_000);
      h.topic.last.heartbeat();
    }
    await h.clock.advance(29_000);
    expect(h.states).toEqual(["connecting", "connected"]);
    await h.clock.advance(1_500);
    expect(h.states).toEqual(["connecting", "connected", "reconnecting"]);
  });

  test("is detected on waking from sleep", async () => {
    const h = new Harness();
    const client = await h.live();
    h.clock.sleep(8 * 60 * MINUTE);
    client.checkNow();
    expect(client.state).toBe("reconnecting");
  });

  test("while offline says so, and is reopened as soon as the network is back", async () => {
    const h = new Harness();
    const client = await h.live();
    client.setOnline(false);
    expect(client.state).toBe("connected");
    h.topic.accepting = false;
    h.topic.last.listener.ended(new StreamError("broken"));
    expect(client.state).toBe("offline");
    await h.clock.advance(25_000);
    h.topic.accepting = true;
    client.setOnline(true);
    await settle();
    expect(client.state).toBe("connected");
  });

  test("with streams blocked still brings notifications", async () => {
    const h = new Harness();
    h.storage.value = JSON.stringify({ cursor: 1, keys: [] });
    h.topic.accepting = false;
    await h.live();
    h.service.history = [finished({ taskId: "a" })];
    h.topic.last.refuse();
    await settle();
    expect(h.received).toEqual(["a"]);
  });
});

describe("catch-up", () => {
  test("marks history as such in a new browser", async () => {
    const h = new Harness();
    const time = h.clock.now() - MINUTE;
    h.service.history = [finished({ taskId: "a", time }), finished({ taskId: "b", time })];
    await h.live();
    expect(h.notifications.map(({ source }) => source)).toEqual(["history", "history"]);
    expect(h.service.requests.at(-1)).toMatchObject({ path: "/notifications", after: null });
  });

  test.each([
    ["with equal clocks", 0, true, "catch-up"],
    ["with a service whose clock is ahead", 600_000, true, "catch-up"],
    ["with a service whose clock is behind", -600_000, true, "catch-up"],
    ["but not where the service sends no Date header", 0, false, "history"],
  ])("in a new browser marks what happened since as such: %s", async (_, ahead, sendsDate, source) => {
    const h = new Harness();
    Object.assign(h.service, { clockAheadMs: ahead, sendsDate });
    h.topic.accepting = false;
    await h.live();
    await h.clock.advance(3_000);
    h.service.history = [-5_000, -1_000].map((ago) =>
      finished({ taskId: `${ago}`, time: h.clock.now() + ahead + ago }),
    );
    h.topic.last.accept();
    await settle();
    expect(h.notifications).toMatchObject([
      { taskId: "-5000", source: "history" },
      { taskId: "-1000", source },
    ]);
  });

  test("that never succeeded in a new browser leaves history as such", async () => {
    const h = new Harness();
    h.service.history = [finished({ taskId: "a", time: h.clock.now() - MINUTE })];
    h.service.reply("/notifications", problemResponse(503, "busy"));
    const client = await h.live();
    h.topic.last.item({ taskId: "b", time: h.clock.now() });
    client.stop();
    await h.live();
    expect(h.notifications).toMatchObject([{ taskId: "b" }, { taskId: "a", source: "history" }]);
  });

  test("emits nothing twice, however much progress there was", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.item({ taskId: "a" });
    for (let step = 0; step < 700; step += 1) h.topic.last.item({ status: "progress", message: `${step}` });
    h.service.history = [finished({ taskId: "a" })];
    h.topic.last.listener.gap();
    await settle();
    expect(h.received.filter((taskId) => taskId === "a")).toHaveLength(1);
  });

  test("does not announce again what arrived as plain text, without a task id", async () => {
    const h = new Harness();
    const client = await h.live();
    h.topic.last.item("Finished task: x");
    h.service.history = [finished({ taskId: "a", message: "Finished task: x" })];
    h.topic.last.listener.gap();
    await settle();
    h.service.history.push(finished({ taskId: "b" }));
    client.stop();
    await h.live();
    expect(h.notifications.map(({ source }) => source)).toEqual(["live", "history", "history"]);
  });

  test("announces again once plain text no longer arrives", async () => {
    const h = new Harness();
    await h.live();
    h.topic.last.item("not from the service");
    h.topic.last.item({ taskId: "a" });
    h.service.history = [finished({ taskId: "b" })];
    h.topic.last.listener.gap();
    await settle();
    expect(h.notifications.at(-1)).toMatchObject({ taskId: "b", source: "catch-up" });
  });

  test("that a listener ends by signing out leaves nothing behind", async () => {
    const h = new Harness();
    h.service.history = [finished({ taskId: "a" }), finished({ taskId: "b" })];
    const client = h.client();
    client.on("notification", () => client.signOut());
    client.start();
    await settle();
    expect([h.received, h.clock.pending, h.storage.value]).toEqual([["a"], 0, null]);
  });

  test("after a page load sends the last cursor, and emits only what is new", async () => {
    const h = new Harness();
    h.service.history = [finished({ taskId: "a", time: 5_000_000 })];
    (await h.live()).stop();
    h.service.history = [finished({ taskId: "a", time: 5_000_000 }), finished({ taskId: "b", time: 4_999_000 })];
    await h.live();
    expect(h.service.requests.at(-1)?.after).toBe("c1");
    expect(h.received).toEqual(["a", "b"]);
    expect(h.notifications.at(-1)?.source).toBe("catch-up");
  });

  test("of a first page without notifications is enough for the next page to announce", async () => {
    const h = new Harness();
    (await h.live()).stop();
    h.service.history = [finished({ taskId: "a" })];
    await h.live();
    expect(h.notifications).toMatchObject([{ taskId: "a", source: "catch-up" }]);
  });

  test("that fails is tried again until it succeeds", async () => {
    const h = new Harness();
    h.storage.value = JSON.stringify({ cursor: 1, keys: [] });
    h.service.reply("/notifications", problemResponse(503, "down"), new TypeError("Failed to fetch"));
    h.service.history = [finished({ taskId: "a" })];
    await h.live();
    expect(h.received).toEqual([]);
    await h.clock.advance(10_000);
    expect([h.received, h.service.count("/notifications")]).toEqual([["a"], 3]);
  });

  test("that fails at first still fetches all that was missed, whatever arrives live meanwhile", async () => {
    const h = new Harness();
    await away(h, 10 * MINUTE);
    h.service.reply("/notifications", problemResponse(503, "busy"));
    await reopened(h);
    h.topic.last.item({ taskId: "connected", time: h.clock.now() });
    await h.clock.advance(2_000);
    expect(h.received).toEqual(["before", "connected", "missed"]);
  });

  test("that never succeeded is repeated by the next page", async () => {
    const h = new Harness();
    const client = await away(h, 10 * MINUTE);
    h.service.reply("/notifications", problemResponse(503, "busy"));
    await reopened(h);
    h.topic.last.item({ taskId: "connected", time: h.clock.now() });
    client.stop();
    await h.live();
    expect(h.received).toEqual(["before", "connected", "missed"]);
  });

  test("fetches all that was missed when an item arrives with the stream's first message", async () => {
    const h = new Harness();
    await away(h, 10 * MINUTE);
    h.topic.accepting = false;
    await reopened(h);
    h.topic.last.accept();
    h.topic.last.item({ taskId: "connected", time: h.clock.now() });
    await settle();
    expect(h.received).toEqual(["before", "connected", "missed"]);
  });

  test("is skipped where the service keeps no history", async () => {
    const h = new Harness();
    h.service.history = null;
    const client = await h.live();
    await h.clock.advance(20_000);
    expect([client.state, h.errors, h.service.count("/notifications")]).toEqual(["connected", [], 1]);
  });

  test("follows a discontinuity of the topic", async () => {
    const h = new Harness();
    await h.live();
    h.service.history = [finished({ taskId: "a" })];
    h.topic.last.listener.gap();
    await settle();
    expect(h.received).toEqual(["a"]);
  });

  test("drops entries that are no notifications", async () => {
    const h = new Harness();
    h.service.history = [null, 7, { taskId: "a" }, finished({ taskId: "b" })] as never;
    h.service.reply("/notifications", Response.json({ notifications: h.service.history, cursor: "c1" }));
    await h.live();
    expect(h.received).toEqual(["b"]);
  });
});

describe("sign-out", () => {
  test("closes the stream, clears storage, and emits nothing more", async () => {
    const h = new Harness();
    const client = await h.live();
    h.topic.last.item({ taskId: "a" });
    const { listener } = h.topic.last;
    await h.clock.advance(1_000);
    expect(h.storage.value).toContain("a");
    client.signOut();
    expect([client.state, h.topic.openCount, h.storage.value]).toEqual(["signed-out", 0, null]);
    listener.item(JSON.stringify(finished({ taskId: "late" })), "9");
    await h.clock.advance(30 * MINUTE);
    client.start();
    client.checkNow();
    await settle();
    expect([h.received, h.topic.openCount, h.storage.value]).toEqual([["a"], 0, null]);
  });

  test("leaves no timer", async () => {
    const h = new Harness();
    const client = await h.live();
    h.topic.last.item({ taskId: "a" });
    client.signOut();
    expect(h.clock.pending).toBe(0);
  });

  test("during a token request opens no stream", async () => {
    const h = new Harness();
    const client = h.client();
    client.start();
    client.signOut();
    await settle();
    expect([h.topic.openCount, h.states]).toEqual([0, ["connecting", "signed-out"]]);
  });

  test("while a stream is opening closes it", async () => {
    const h = new Harness();
    h.topic.accepting = false;
    const client = await h.live();
    client.signOut();
    h.topic.last.accept();
    await settle();
    expect([client.state, h.topic.openCount]).toEqual(["signed-out", 0]);
  });

  test("during a catch-up emits none of it", async () => {
    const h = new Harness();
    let answer: (response: Response) => void = () => undefined;
    const client = await h.live({
      fetch: (input, init) =>
        String(input).includes("/notifications")
          ? new Promise((resolve) => (answer = resolve))
          : h.service.fetch(input, init),
    });
    client.signOut();
    answer(Response.json({ notifications: [finished({ taskId: "a" })] }));
    await h.clock.advance(1_000);
    expect([h.received, h.storage.value]).toEqual([[], null]);
  });

  test("because another user signs in: their topic is not subscribed to", async () => {
    const h = new Harness();
    const client = await h.live();
    h.service.topic = "bob";
    h.topic.last.listener.ended(new StreamError("expired", true));
    await h.clock.advance(2_000);
    expect([client.state, h.topic.openCount]).toEqual(["signed-out", 0]);
  });
});

describe("changing the leading tab", () => {
  test("start continues where stop ended", async () => {
    const h = new Harness();
    const client = await h.live();
    h.topic.last.item({ taskId: "a" });
    client.stop();
    expect(h.topic.openCount).toBe(0);
    h.service.history = [finished({ taskId: "a" }), finished({ taskId: "b" })];
    client.start();
    await settle();
    expect(h.received).toEqual(["a", "b"]);
  });

  test("what another tab emitted is not emitted again", async () => {
    const h = new Harness();
    const client = h.client();
    client.markSeen(finished({ taskId: "a" }));
    h.service.history = [finished({ taskId: "a" })];
    client.start();
    await settle();
    expect(h.received).toEqual([]);
  });
});

/** Advances the clock with a heartbeat on every stream each 5 seconds. */
async function beat(h: Harness, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 5_000) {
    await h.clock.advance(Math.min(5_000, ms - passed));
    for (const stream of h.topic.streams) stream.heartbeat();
  }
}

/** A client that receives one notification, is offline for `ms`, and misses one after the first minute. */
async function away(h: Harness, ms: number): Promise<Connection> {
  const client = await h.live();
  h.topic.last.item({ taskId: "before", time: h.clock.now() });
  h.service.history = [finished({ taskId: "before", time: h.clock.now() })];
  h.service.reachable = false;
  h.topic.last.listener.ended(new StreamError("expired", true));
  await h.clock.advance(MINUTE);
  h.service.history.push(finished({ taskId: "missed", time: h.clock.now() }));
  await h.clock.advance(ms - MINUTE);
  h.service.reachable = true;
  return client;
}

/** Waits for the next stream, at most as long as the longest backoff. */
async function reopened(h: Harness): Promise<void> {
  const before = h.topic.streams.length;
  for (let waited = 0; h.topic.streams.length === before; waited += 100) {
    if (waited > 20_000) throw new Error("No stream was opened");
    await h.clock.advance(100);
  }
}

describe("the read marker", () => {
  test("is emitted as it arrives, and from the history", async () => {
    const h = new Harness();
    h.service.readUntil = 7;
    const client = h.client();
    const markers: number[] = [];
    client.on("readUntil", (readUntil) => markers.push(readUntil));
    client.start();
    await settle();
    h.topic.last.item('{"readUntil":9}');
    client.signOut();
    h.topic.last.item('{"readUntil":11}');
    expect(markers).toEqual([7, 9]);
  });

  test("is not emitted where the service has none", async () => {
    const h = new Harness();
    const client = h.client();
    client.on("readUntil", () => expect.unreachable());
    client.start();
    await settle();
  });
});
