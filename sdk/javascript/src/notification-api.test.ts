import { afterEach, describe, expect, test, vi } from "vitest";
import { NotificationApi } from "./notification-api";
import { ApiHarness } from "./testing/api-harness";
import { FakePage } from "./testing/fake-browser";
import { settle } from "./testing/fake-clock";
import { problemResponse } from "./testing/fake-service";
import { finished } from "./testing/fake-topic";

const html = (status: number): Response =>
  new Response("<!doctype html>", { status, headers: { "content-type": "text/html" } });

/** What became of a promise, without waiting for it. */
function outcomeOf(promise: Promise<unknown>): { value?: unknown; error?: unknown } {
  const outcome: { value?: unknown; error?: unknown } = {};
  promise.then(
    (value) => (outcome.value = value),
    (error: unknown) => (outcome.error = error),
  );
  return outcome;
}

/** A token of this user. Its signature is the service's business. */
function idTokenOf(sub: string): string {
  return `e30.${btoa(JSON.stringify({ sub }))}.x`;
}

afterEach(() => void vi.unstubAllGlobals());

describe("a new object", () => {
  test("opens nothing, and needs none of the browser's objects", async () => {
    for (const name of ["fetch", "navigator", "crypto", "location", "BroadcastChannel"]) vi.stubGlobal(name, undefined);
    const getIdToken = vi.fn();
    const api = new NotificationApi({ url: "/api", getIdToken });
    await settle();
    expect(getIdToken).not.toHaveBeenCalled();
    expect(api.connection.getSnapshot()).toEqual({ state: "idle", error: null, since: 0 });
    for (const store of [api.connection, api.tasks, api.notifications, api.outbox])
      expect(store.getServerSnapshot()).toBe(store.getSnapshot());
  });

  test("refuses a relative URL where there is no page, once it is started", () => {
    const { api } = new ApiHarness().tab({ url: "/api" });
    expect(() => api.start()).toThrow(/no page to which the URL "\/api" is relative/);
  });

  test.each([
    ["/", "http://app.test/token"],
    ["", "http://app.test/token"],
    ["/api/", "http://app.test/api/token"],
    ["https://api.test/v1", "https://api.test/v1/token"],
  ])("asks the API at %j, seen from a page", async (url, expected) => {
    vi.stubGlobal("location", { href: "http://app.test/some/page?query" });
    const h = new ApiHarness();
    const asked: string[] = [];
    const fetch = async (input: unknown): Promise<Response> => {
      asked.push(String(input));
      return problemResponse(503, "down");
    };
    await h.started({ url, fetch });
    expect(asked[0]).toBe(expected);
  });
});

describe("the connection", () => {
  test("goes from idle to connected and, when it is stopped, back", async () => {
    const h = new ApiHarness();
    const { api, states } = await h.started();
    expect(api.connection.getSnapshot()).toEqual({ state: "connected", error: null, since: h.clock.now() });
    api.stop();
    api.stop();
    expect([states, h.topic.openCount]).toEqual([["connecting", "connected", "idle"], 0]);
    api.start();
    await settle();
    expect([api.connection.getSnapshot().state, h.topic.openCount]).toEqual(["connected", 1]);
  });

  test("keeps the same snapshot while errors of one kind are repeated", async () => {
    const h = new ApiHarness();
    h.service.reachable = false;
    const { api, errors } = await h.started();
    const first = api.connection.getSnapshot();
    await h.clock.advance(60_000);
    expect(api.connection.getSnapshot()).toBe(first);
    expect([first.state, first.error?.code, errors.length > 3]).toEqual(["reconnecting", "network", true]);
  });

  test("asks for the id token at each attempt, also while the disposable token is still valid", async () => {
    const h = new ApiHarness();
    await h.started();
    const before = h.tokenRequests.length;
    h.topic.last.listener.ended(new Error("lost") as never);
    await h.clock.advance(2_000);
    expect(h.topic.streams).toHaveLength(2);
    expect(h.service.count("/token")).toBe(1);
    expect(h.tokenRequests.length).toBeGreaterThan(before);
  });

  test("names what is not the API", async () => {
    const h = new ApiHarness();
    h.service.reply("/token", html(200));
    const { api } = await h.started();
    const { error } = api.connection.getSnapshot();
    expect(error).toMatchObject({ code: "not_the_api", status: 200 });
    expect(error?.message).toBe(
      "http://service.test/token is not the API: it answered 200 with text/html in place of JSON",
    );
  });

  test("is tried at once when the application asks for it", async () => {
    const h = new ApiHarness();
    h.service.reachable = false;
    const { api } = await h.started();
    await h.clock.advance(60_000);
    h.service.reachable = true;
    api.retry();
    await settle();
    expect(api.connection.getSnapshot()).toMatchObject({ state: "connected", error: null });
  });
});

describe("mounts", () => {
  test("of a framework that mounts twice keep one stream, and the last one stops it after a while", async () => {
    const h = new ApiHarness();
    const { api } = h.tab();
    const unmount = api.mount();
    unmount();
    unmount(); // counts once
    const unmounts = [api.mount(), api.mount()];
    await h.clock.advance(5_000);
    expect(h.topic.streams).toHaveLength(1);
    for (const each of unmounts) each();
    await h.clock.advance(1_900);
    expect(h.topic.openCount).toBe(1);
    await h.clock.advance(200);
    expect([h.topic.openCount, api.connection.getSnapshot().state]).toEqual([0, "idle"]);
  });
});

describe("the user", () => {
  test("is the one of the first id token", async () => {
    const h = new ApiHarness();
    h.service.validIdTokens = new Set([(h.service.idToken = idTokenOf("bob"))]);
    const { api } = h.tab();
    const unnamed = new NotificationApi({
      ...{ url: h.service.url, getIdToken: async () => h.service.idToken, storage: h.storage },
      ...{ fetch: h.service.fetch, openStream: h.topic.open, clock: h.clock },
    });
    unnamed.start();
    await settle();
    unnamed.stop();
    expect(api.connection.getSnapshot().state).toBe("idle");
    expect([...h.storage.values.keys()].every((key) => key.startsWith("notification-api:v2:bob:"))).toBe(true);
  });

  test("must be named where the id token names none", async () => {
    const h = new ApiHarness();
    const { api } = await h.started({ userId: undefined } as never);
    expect(api.connection.getSnapshot().error?.message).toMatch(/no `sub`/);
  });

  test("is asked for again where the id token cannot be had now", async () => {
    const h = new ApiHarness();
    const token = idTokenOf("bob");
    h.service.validIdTokens = new Set([token]);
    let isReachable = false;
    const getIdToken = (): Promise<string> =>
      isReachable ? Promise.resolve(token) : Promise.reject(new Error("down"));
    const { api, errors } = await h.started({ userId: undefined, getIdToken } as never);
    expect(errors).toMatchObject([{ code: "id_token", message: "getIdToken failed: down" }]);
    isReachable = true;
    await h.clock.advance(2_000);
    expect(api.connection.getSnapshot().state).toBe("connected");
  });

  test("is signed out where another one has signed in meanwhile", async () => {
    const h = new ApiHarness();
    h.service.idToken = idTokenOf("alice");
    h.service.validIdTokens = new Set([idTokenOf("alice"), idTokenOf("bob")]);
    const { api } = await h.started();
    h.service.idToken = idTokenOf("bob");
    const submitted = outcomeOf(api.submit("report", "of alice"));
    await settle();
    expect(h.service.posts).toEqual([]);
    expect(api.connection.getSnapshot()).toMatchObject({ state: "signed-out", error: { code: "signed_out" } });
    expect(submitted.error).toMatchObject({ code: "signed_out" });
  });
});

describe("signing out", () => {
  test("closes everything for good and removes what is stored", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    h.topic.last.item({ taskId: "a" });
    h.storage.setItem("of the application", "1");
    await api.signOut();
    api.start();
    await settle();
    expect(api.connection.getSnapshot()).toMatchObject({ state: "signed-out", error: null });
    expect([api.tasks.getSnapshot(), api.notifications.getSnapshot().items, h.topic.openCount]).toEqual([[], [], 0]);
    expect([...h.storage.values.keys()]).toEqual(["of the application"]);
  });

  test("is final also where nothing was started", async () => {
    const h = new ApiHarness();
    const { api, states } = h.tab();
    await api.signOut();
    expect(states).toEqual(["signed-out"]);
  });
});

describe("a submitted task", () => {
  test("is listed at once, and resolves with its id and key", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    const submitted = outcomeOf(api.submit("report", { month: 10 }, { idempotencyKey: "k", delaySeconds: 5 }));
    expect(api.tasks.getSnapshot()).toMatchObject([{ key: "k", type: "report", state: "pending" }]);
    await settle();
    expect(submitted.value).toEqual({ taskId: "task-k", key: "k" });
    expect(h.service.posts).toEqual([{ key: "k", body: { data: { month: 10 }, type: "report", delaySeconds: 5 } }]);
    expect(api.tasks.get("task-k")).toBe(api.tasks.get("k"));
  });

  test("needs no stream, and no UUIDs of a secure page", async () => {
    vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) });
    const h = new ApiHarness();
    const submitted = outcomeOf(h.tab().api.submit("default", "x"));
    await settle();
    expect(submitted.value).toMatchObject({ key: expect.stringMatching(/^[\da-f]{32}$/) as string });
    expect([h.topic.streams, h.service.posts[0]?.body]).toEqual([[], { data: "x" }]);
  });

  test("is sent again after an outage with the same key, and waits as long as the service asks for", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    h.service.reply(
      "/task",
      new TypeError("Failed to fetch"),
      problemResponse(429, "slow down", { "retry-after": "20" }),
    );
    const submitted = outcomeOf(api.submit("report", "x", { idempotencyKey: "k" }));
    await h.clock.advance(1_500);
    expect([h.service.posts.length, submitted]).toEqual([2, {}]);
    expect(api.outbox.getSnapshot()).toMatchObject({ error: { code: "rate_limited", status: 429 }, memoryOnly: false });
    await h.clock.advance(18_000);
    expect(h.service.posts).toHaveLength(2);
    await h.clock.advance(3_000);
    expect(h.service.posts.map(({ key }) => key)).toEqual(["k", "k", "k"]);
    expect(submitted.value).toEqual({ taskId: "task-k", key: "k" });
    expect(api.outbox.getSnapshot().error).toBeNull();
  });

  test("survives a page load, and is sent by the next page", async () => {
    const h = new ApiHarness();
    h.service.reachable = false;
    const first = await h.started();
    const submitted = outcomeOf(first.api.submit("report", "x", { idempotencyKey: "k" }));
    await settle();
    first.api.stop();
    h.service.reachable = true;
    await h.clock.advance(60_000);
    expect([submitted, h.service.posts.length]).toEqual([{}, 1]);
    const next = await h.started();
    expect(h.service.posts.map(({ key }) => key)).toEqual(["k", "k"]);
    expect(next.api.tasks.getSnapshot()).toMatchObject([{ key: "k", taskId: "task-k", state: "queued", data: "x" }]);
  });

  test("waits while stopped, and is sent by the next start", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    api.stop();
    const submitted = outcomeOf(api.submit("report", "x"));
    await h.clock.advance(60_000);
    expect([submitted, h.service.posts]).toEqual([{}, []]);
    api.start();
    await settle();
    expect(submitted.value).toBeDefined();
  });

  test("that the service refuses rejects with the service's reason", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    const body = { status: 400, type: "https://x.test/invalid-data", detail: "`data` is empty", requestId: "r-9" };
    h.service.reply("/task", Response.json(body, { status: 400 }));
    const { error } = await settled(outcomeOf(api.submit("report", "", { idempotencyKey: "k" })));
    expect(error).toMatchObject({
      ...{ name: "ServiceError", code: "invalid_request", retryable: false, status: 400, requestId: "r-9" },
      ...{ detail: "`data` is empty", type: "https://x.test/invalid-data" },
    });
    expect(api.tasks.get("k")).toMatchObject({ state: "rejected", submissionError: { requestId: "r-9" } });
  });

  test("that is no longer tried rejects, and can be sent again with the same key", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    for (let time = 0; time < 5; time += 1) h.service.reply("/task", problemResponse(500, "boom"));
    const submitted = outcomeOf(api.submit("report", "x", { idempotencyKey: "k" }));
    await h.clock.advance(60_000);
    expect(submitted.error).toMatchObject({ status: 500, message: "boom", retryable: true });
    expect(api.tasks.get("k")?.state).toBe("unsent");
    const again = outcomeOf(api.submit("report", "x", { idempotencyKey: "k" }));
    await settle();
    expect(again.value).toEqual({ taskId: "task-k", key: "k" });
    expect(api.tasks.get("k")).not.toHaveProperty("submissionError");
  });

  test("that reaches something else than the API says so", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    h.service.reply("/task", html(404));
    const { error } = await settled(outcomeOf(api.submit("report", "x")));
    expect(error).toMatchObject({ code: "not_the_api", status: 404 });
    expect(String(error)).toMatch(/http:\/\/service.test\/task is not the API/);
  });

  test("is withdrawn by its signal", async () => {
    const h = new ApiHarness();
    h.service.reachable = false;
    const { api } = await h.started();
    const controller = new AbortController();
    const submitted = outcomeOf(api.submit("report", "x", { signal: controller.signal }));
    await settle();
    controller.abort();
    await settle();
    expect(submitted.error).toMatchObject({ name: "AbortError" });
    expect(api.tasks.getSnapshot()).toEqual([]);
    h.service.reachable = true;
    await h.clock.advance(60_000);
    expect(h.service.posts).toHaveLength(1); // the one that failed
    const late = await settled(outcomeOf(api.submit("report", "x", { signal: controller.signal })));
    expect(late.error).toMatchObject({ name: "AbortError" });
  });

  test("that is removed rejects", async () => {
    const h = new ApiHarness();
    h.service.reachable = false;
    const { api } = await h.started();
    const submitted = outcomeOf(api.submit("report", "x", { idempotencyKey: "k" }));
    await settle();
    api.tasks.remove("k");
    await settle();
    expect(submitted.error).toMatchObject({ code: "removed" });
  });

  test("with a key that was used before is not sent a second time", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    const keys = { idempotencyKey: "k" };
    const both = [api.submit("report", "x", keys), api.submit("report", "x", keys)];
    expect(await Promise.all(both)).toEqual([
      { taskId: "task-k", key: "k" },
      { taskId: "task-k", key: "k" },
    ]);
    await api.submit("report", "x", keys);
    expect(h.service.posts).toHaveLength(1);
  });

  test("beyond the limit is refused, and not listed", async () => {
    const h = new ApiHarness();
    h.service.reachable = false;
    const { api } = await h.started();
    const tasks = Array.from({ length: 101 }, (_, index) => outcomeOf(api.submit("report", `x${index}`)));
    await settle();
    expect(tasks.map(({ error }) => error).filter(Boolean)).toMatchObject([{ code: "outbox_full" }]);
    expect(api.tasks.getSnapshot()).toHaveLength(100);
  });

  test("is kept by the page alone where there is no storage, which the outbox says", async () => {
    const h = new ApiHarness();
    h.service.reachable = false;
    const { api } = await h.started({ storage: null });
    void api.submit("report", "x").catch(() => undefined);
    await settle();
    expect(api.outbox.getSnapshot()).toMatchObject({ memoryOnly: true });
    h.service.reachable = true;
    api.retry();
    await settle();
    expect(api.tasks.getSnapshot()).toMatchObject([{ state: "queued" }]);
  });
});

/** After everything that is due has happened. */
async function settled<T>(outcome: T): Promise<T> {
  await settle();
  return outcome;
}

describe("the list of tasks", () => {
  test("keeps the snapshot, and each task, as long as it has not changed", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    h.topic.last.item({ taskId: "a" });
    h.topic.last.item({ taskId: "b", data: { rows: [1] } });
    const before = api.tasks.getSnapshot();
    expect(api.tasks.getSnapshot()).toBe(before);
    h.topic.last.item({ taskId: "c" });
    h.topic.last.item({ taskId: "b", data: { rows: [1] } });
    const after = api.tasks.getSnapshot();
    expect(after).toHaveLength(3);
    for (const task of before) expect(after).toContain(task);
  });

  test("notifies once of what changes together", async () => {
    const h = new ApiHarness();
    h.service.history = Array.from({ length: 700 }, (_, index) => finished({ taskId: `t${index}`, time: index + 1 }));
    const { api } = h.tab();
    const listener = vi.fn();
    const unsubscribe = api.tasks.subscribe(listener);
    api.start();
    await settle();
    expect(api.tasks.getSnapshot()).toHaveLength(700);
    expect(listener.mock.calls.length).toBeLessThan(5);
    unsubscribe();
    h.topic.last.item({ taskId: "later" });
    await settle();
    expect(listener.mock.calls.length).toBeLessThan(5);
  });

  test("follows a watched task that it did not know", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    h.service.reply("/task/t", problemResponse(503, "busy"));
    h.service.statuses.set("t", { status: "running", updatedAt: 5, input: "do it" });
    const watched = api.tasks.watch("t");
    expect(watched.getSnapshot()).toBeUndefined();
    const unsubscribe = [watched.subscribe(() => undefined), watched.subscribe(() => undefined)];
    await h.clock.advance(2_000);
    expect(watched.getSnapshot()).toMatchObject({ state: "running", data: "do it" });
    h.topic.last.item({ taskId: "t", time: 6 });
    expect(watched.getSnapshot()).toMatchObject({ state: "finished" });
    for (const each of unsubscribe) each();
  });

  test("asks once for a watched task that does not exist, and not at all once nobody watches it", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    const watched = api.tasks.watch("t");
    watched.subscribe(() => undefined);
    h.service.reply("/task/u", problemResponse(503, "busy"));
    const unsubscribe = api.tasks.watch("u").subscribe(() => undefined);
    await settle();
    unsubscribe();
    await h.clock.advance(60_000);
    expect([h.service.count("/task/t"), h.service.count("/task/u"), watched.getSnapshot()]).toEqual([1, 1, undefined]);
  });

  test("shows that a cancellation was asked for, or that it came too late", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    h.topic.last.item({ taskId: "t", status: "progress" });
    h.service.reply("/task/t/cancel", Response.json({ status: "running", cancelRequestedAt: 9 }, { status: 202 }));
    expect(await api.cancel("t")).toMatchObject({ status: "running", cancelRequestedAt: 9 });
    expect(api.tasks.get("t")).toMatchObject({ state: "running", cancelRequestedAt: 9 });
    h.service.reply("/task/t/cancel", problemResponse(409, "It has ended"));
    h.service.statuses.set("t", { status: "finished", updatedAt: h.clock.now() });
    await expect(api.cancel("t")).rejects.toMatchObject({ status: 409 });
    expect(api.tasks.get("t")?.state).toBe("finished");
  });
});

describe("notifications", () => {
  test("are the ends of the listed tasks, the newest first", async () => {
    const h = new ApiHarness();
    const { api, notifications } = await h.started();
    h.topic.last.item({ taskId: "late", time: 20, data: 1 });
    h.topic.last.item({ taskId: "early", time: 10, status: "failed", message: "Failed task: x", error: "no file" });
    h.topic.last.item({ taskId: "running", status: "progress" });
    const { items, unread } = api.notifications.getSnapshot();
    expect(items).toEqual([
      finished({ taskId: "late", time: 20, data: 1 }),
      { taskId: "early", status: "failed", message: "Failed task: x", time: 10, error: "no file" },
    ]);
    expect(unread).toBe(2);
    expect(notifications.map(({ taskId, announce }) => [taskId, announce])).toEqual([
      ["late", true],
      ["early", true],
      ["running", false],
    ]);
  });

  test("from before the first visit are listed and not announced", async () => {
    const h = new ApiHarness();
    h.service.history = [finished({ taskId: "old", time: 1 })];
    const { notifications } = await h.started();
    expect(notifications).toMatchObject([{ taskId: "old", source: "history", announce: false }]);
  });

  test("keep their snapshot while only other tasks change", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    h.topic.last.item({ taskId: "a" });
    const before = api.notifications.getSnapshot();
    h.topic.last.item({ taskId: "b", status: "progress" });
    expect(api.notifications.getSnapshot()).toBe(before);
  });

  test("are read until the newest one, here and at the service", async () => {
    const h = new ApiHarness();
    const { api } = await h.started();
    for (const time of [10, 30, 20]) h.topic.last.item({ taskId: `t${time}`, time });
    api.notifications.markRead(20);
    expect(api.notifications.getSnapshot()).toMatchObject({ unread: 1, readUntil: 20 });
    api.notifications.markRead();
    expect(api.notifications.getSnapshot()).toMatchObject({ unread: 0, readUntil: 30 });
    await h.clock.advance(2_000);
    expect(h.service.marked).toEqual([30]);
  });
});

describe("a page", () => {
  test("that goes to the back/forward cache closes its stream, and is connected again when it is shown", async () => {
    const page = new FakePage();
    const h = new ApiHarness();
    const { api } = await h.started();
    h.topic.last.item({ taskId: "a" });
    page.dispatch("pagehide", { persisted: true });
    expect([h.topic.openCount, api.connection.getSnapshot().state]).toEqual([0, "idle"]);
    page.dispatch("pageshow", { persisted: true });
    await settle();
    expect([h.topic.openCount, api.connection.getSnapshot().state]).toEqual([1, "connected"]);
    api.stop();
    page.dispatch("pageshow", { persisted: true });
    await settle();
    expect(h.topic.openCount).toBe(0);
  });

  test("that wakes up late renews its token at once", async () => {
    const page = new FakePage();
    const h = new ApiHarness();
    await h.started();
    const before = h.tokenRequests.length;
    h.topic.last.heartbeat();
    h.clock.sleep(20 * 60_000);
    h.topic.last.heartbeat();
    page.setVisible(true);
    await settle();
    expect([h.service.count("/token"), h.tokenRequests.length > before]).toEqual([2, true]);
  });

  test("that is online again connects and sends at once", async () => {
    const page = new FakePage();
    vi.stubGlobal("navigator", { onLine: false });
    const h = new ApiHarness();
    h.service.reachable = false;
    const { api, states } = await h.started();
    void api.submit("report", "x");
    await h.clock.advance(60_000);
    expect(states.at(-1)).toBe("offline");
    h.service.reachable = true;
    vi.stubGlobal("navigator", { onLine: true });
    page.dispatch("online");
    await settle();
    expect([api.connection.getSnapshot().state, api.tasks.getSnapshot()[0]?.state]).toEqual(["connected", "queued"]);
  });
});
