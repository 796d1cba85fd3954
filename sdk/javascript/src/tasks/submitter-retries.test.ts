import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SYSTEM_CLOCK } from "../internal/timers";
import { messageOf, problemResponse } from "../testing/fake-service";
import { PendingTasks, MAX_PENDING_TASKS, MAX_TRIES, type PendingTask } from "./pending-tasks";
import { TaskSubmitter, type SubmitterListener, type WithLock } from "./submitter";
import { FakeKeyValueStore } from "../testing/fake-key-value-store";

type Reply = () => Response | Promise<Response>;

const HOUR = 3_600_000;
const lost: Reply = () => Promise.reject(new TypeError("Failed to fetch"));
const page: Reply = () => new Response("<html>", { status: 200 });

/** A service that answers each task by its key; keys without an answer are accepted. */
class Post {
  readonly store = new FakeKeyValueStore();
  readonly posts: { key: string; at: number }[] = [];
  readonly events: string[] = [];
  readonly answers = new Map<string, Reply>();
  isDelayed = false;
  /** The answer to every task. */
  everything: Reply | undefined;

  submitter(withLock: WithLock = oneAtATime()): TaskSubmitter {
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      const key = new Headers(init?.headers).get("idempotency-key") ?? "";
      this.posts.push({ key, at: Date.now() });
      const reply = this.everything ?? this.answers.get(key);
      return reply === undefined ? Response.json({ taskId: `task of ${key}` }, { status: 202 }) : reply();
    };
    const http = { baseUrl: "http://x.test/", fetch, getIdToken: async () => "id" };
    const listener: SubmitterListener = {
      accepted: ({ key }) => this.events.push(`accepted ${key}`),
      rejected: ({ key }, error) => this.events.push(`rejected ${key} ${messageOf(error)}`),
      unsent: ({ key }) => this.events.push(`unsent ${key}`),
      delayed: () => (this.isDelayed = true),
      resumed: () => (this.isDelayed = false),
      signedOut: () => this.events.push("signed out"),
    };
    const pending = new PendingTasks(this.store);
    return new TaskSubmitter({ http, pending, withLock, listener, clock: SYSTEM_CLOCK, random: Math.random });
  }

  count(key: string): number {
    return this.posts.filter((post) => post.key === key).length;
  }

  get waiting(): string[] {
    return new PendingTasks(this.store).waiting().map(({ key }) => key);
  }

  get unsent(): string[] {
    return new PendingTasks(this.store).unsent().map(({ key }) => key);
  }
}

const task = (key: string, at = 1): PendingTask => ({ key, data: "x", at });

function oneAtATime(): WithLock {
  let last = Promise.resolve();
  return (action) => (last = last.then(action));
}

const pass = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0.5);
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("one task that the service never accepts", () => {
  test.each<[string, Reply]>([
    ["500", () => problemResponse(500, "boom")],
    ["501", () => problemResponse(501, "no")],
    ["500 with Retry-After", () => problemResponse(500, "boom", { "retry-after": "3" })],
    ["202 without a task id", () => Response.json({}, { status: 202 })],
    ["202 with nothing", () => Response.json(null, { status: 202 })],
    ["a page", page],
  ])("is unsent after a few tries, and delays no other: %s", async (name, reply) => {
    const post = new Post();
    post.answers.set("bad", reply);
    const submitter = post.submitter();
    submitter.add(task("bad", 1));
    submitter.add(task("b", 2));
    submitter.add(task("c", 3));
    await pass(5_000);
    expect(post.events.slice(0, 2)).toEqual(["accepted b", "accepted c"]);
    const [bad, first] = post.posts;
    expect((first?.at ?? 0) - (bad?.at ?? 0)).toBeLessThanOrEqual(name.endsWith("Retry-After") ? 4_000 : 0);
    await pass(HOUR);
    expect([post.events.at(-1), post.count("bad"), post.unsent]).toEqual(["unsent bad", MAX_TRIES, ["bad"]]);
    submitter.add(task("d", 4));
    await pass(0);
    expect(post.events.at(-1)).toBe("accepted d");
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([60, 3_600, 86_400])(
    "with a Retry-After of %i s waits alone, for a few minutes at most",
    async (seconds) => {
      const post = new Post();
      post.answers.set("bad", () => problemResponse(500, "boom", { "retry-after": `${seconds}` }));
      const submitter = post.submitter();
      submitter.add(task("bad", 1));
      submitter.add(task("b", 2));
      await pass(0);
      submitter.add(task("c", 3));
      await pass(0);
      expect([post.events, post.count("bad")]).toEqual([["accepted b", "accepted c"], 1]);
      await pass(59_000);
      expect(post.count("bad")).toBe(1);
      await pass(300_000 - 59_000 + 1_000);
      expect(post.count("bad")).toBeGreaterThan(1);
      await pass(HOUR);
      expect([post.count("bad"), post.unsent, vi.getTimerCount()]).toEqual([MAX_TRIES, ["bad"], 0]);
    },
  );

  test("and waits alone is sent when asked for, and reported as delayed until then", async () => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(500, "boom", { "retry-after": "3600" }));
    const submitter = post.submitter();
    submitter.add(task("bad", 1));
    submitter.add(task("b", 2));
    await pass(0);
    expect(post.isDelayed).toBe(true);
    post.answers.clear();
    submitter.flush();
    await pass(0);
    expect([post.events, post.isDelayed, vi.getTimerCount()]).toEqual([["accepted b", "accepted bad"], false, 0]);
  });

  test("and waits alone leaves no timer when the submitter is closed", async () => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(500, "boom", { "retry-after": "3600" }));
    const submitter = post.submitter();
    submitter.add(task("bad", 1));
    await pass(0);
    submitter.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  const TRANSIENT: [string, Reply][] = [
    ["a lost network", lost],
    ["408", () => problemResponse(408, "too slow")],
    ["502", () => problemResponse(502, "bad gateway")],
    ["502 with a page", () => new Response("<html>", { status: 502 })],
    ["503", () => problemResponse(503, "down")],
    ["503 with Retry-After", () => problemResponse(503, "down", { "retry-after": "3" })],
    ["504", () => problemResponse(504, "too late")],
  ];

  test.each(TRANSIENT)("is unsent where accepted tasks show that it is the only one: %s", async (_, reply) => {
    const post = new Post();
    post.answers.set("bad", reply);
    const submitter = post.submitter();
    submitter.add(task("bad", 0));
    for (let id = 1; id <= MAX_TRIES; id += 1) {
      submitter.add(task(`${id}`, id));
      await pass(120_000);
      expect(post.events).toContain(`accepted ${id}`);
    }
    expect(post.unsent).toEqual(["bad"]);
    const before = post.count("bad");
    await pass(HOUR);
    expect(post.count("bad")).toBe(before);
  });

  test.each(TRANSIENT)(
    "lets the tasks behind it go first, and keeps its tries while it is alone: %s",
    async (_, reply) => {
      const post = new Post();
      post.answers.set("bad", reply);
      const submitter = post.submitter();
      submitter.add(task("bad", 1));
      submitter.add(task("b", 2));
      submitter.add(task("c", 3));
      await pass(10_000);
      expect(post.events).toEqual(["accepted b", "accepted c"]);
      await pass(12 * HOUR);
      expect([post.waiting, post.unsent]).toEqual([["bad"], []]);
      submitter.add(task("d", 4));
      await pass(60_000);
      expect(post.events.at(-1)).toBe("accepted d");
      post.answers.clear();
      await pass(60_000);
      expect([post.events.at(-1), post.store.keys()]).toEqual(["accepted bad", []]);
    },
  );

  test("because of the user's rate limit delays no other, and is always tried again", async () => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(429, "slow down", { "retry-after": "2" }));
    const submitter = post.submitter();
    submitter.add(task("bad", 0));
    for (let id = 1; id <= 10; id += 1) {
      submitter.add(task(`${id}`, id));
      await pass(60_000);
      expect(post.events).toContain(`accepted ${id}`);
    }
    expect([post.waiting, post.unsent]).toEqual([["bad"], []]);
  });

  test.each([403, 404, 405, 409, 421])("because of a %i is unsent at once, and can be resent", async (status) => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(status, "no"));
    const submitter = post.submitter();
    submitter.add(task("bad", 1));
    submitter.add(task("b", 2));
    await pass(0);
    expect([post.events, post.unsent]).toEqual([["unsent bad", "accepted b"], ["bad"]]);
    post.answers.clear();
    submitter.resend("bad");
    await pass(0);
    expect(post.events.at(-1)).toBe("accepted bad");
  });

  test.each([400, 413, 415, 422])("because of a %i is rejected and never retried", async (status) => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(status, "The queue takes 200 kB"));
    const submitter = post.submitter();
    submitter.add(task("bad"));
    await pass(0);
    expect([post.events, submitter.resend("bad"), post.store.keys()]).toEqual([
      ["rejected bad The queue takes 200 kB"],
      [],
      [],
    ]);
  });

  test("stays unsent after a page load, and is sent with the same key when asked for", async () => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(500, "boom"));
    const first = post.submitter();
    first.add(task("bad"));
    await pass(HOUR);
    first.close();
    const submitter = post.submitter();
    submitter.flush();
    await pass(HOUR);
    expect(post.count("bad")).toBe(MAX_TRIES);
    post.answers.clear();
    expect(submitter.resend("bad").map(({ key }) => key)).toEqual(["bad"]);
    await pass(0);
    expect([post.events.at(-1), post.posts.at(-1)?.key, post.store.keys()]).toEqual(["accepted bad", "bad", []]);
  });

  test("keeps its tries over a page load", async () => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(500, "boom"));
    const first = post.submitter();
    first.add(task("bad"));
    await pass(1_100); // two tries
    first.close();
    post.submitter().flush();
    await pass(HOUR);
    expect(post.count("bad")).toBe(MAX_TRIES);
  });

  test("has its tries over all tabs together, and is sent once when one of them asks for it", async () => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(500, "boom"));
    const withLock = oneAtATime();
    const tabs = [post.submitter(withLock), post.submitter(withLock), post.submitter(withLock)] as const;
    tabs[0].add(task("bad"));
    for (const tab of tabs) tab.flush();
    await pass(HOUR);
    expect([post.count("bad"), post.events.filter((events) => events === "unsent bad")]).toEqual([
      MAX_TRIES,
      ["unsent bad"],
    ]);
    post.answers.clear();
    tabs[2].resend("bad");
    for (const tab of tabs) tab.flush();
    await pass(HOUR);
    expect([post.count("bad"), post.events.at(-1)]).toEqual([MAX_TRIES + 1, "accepted bad"]);
  });

  test("that was removed is no longer sent", async () => {
    const post = new Post();
    post.answers.set("bad", () => problemResponse(500, "boom"));
    const submitter = post.submitter();
    submitter.add(task("bad"));
    await pass(HOUR);
    new PendingTasks(post.store).remove({ key: "bad" });
    expect(submitter.resend()).toEqual([]);
    await pass(HOUR);
    expect([post.count("bad"), post.store.keys()]).toEqual([MAX_TRIES, []]);
  });

  test("that storage did not take has the same number of tries", async () => {
    const post = new Post();
    post.store.full = true;
    post.answers.set("bad", () => problemResponse(500, "boom"));
    const submitter = post.submitter();
    submitter.add(task("bad"));
    await pass(HOUR);
    expect(post.count("bad")).toBe(MAX_TRIES);
    post.answers.clear();
    submitter.resend("bad");
    await pass(0);
    expect(post.events).toEqual(["unsent bad", "accepted bad"]);
  });
});

describe("a service that accepts nothing", () => {
  const MANY = 30;

  function loaded(everything: Reply, many = MANY): { post: Post; submitter: TaskSubmitter } {
    const post = new Post();
    post.everything = everything;
    const submitter = post.submitter();
    for (let id = 0; id < many; id += 1) submitter.add(task(`${id}`, id));
    return { post, submitter };
  }

  test.each([500, 501, 505])("and answers %i has each task tried, and sends all when asked", async (status) => {
    const { post, submitter } = loaded(() => problemResponse(status, "boom"));
    await pass(30_000);
    expect(new Set(post.posts.map(({ key }) => key)).size).toBeGreaterThan(3); // not always the first
    await pass(4 * HOUR);
    expect([post.unsent.length, post.posts.length]).toEqual([MANY, MANY * MAX_TRIES]);
    post.everything = undefined;
    submitter.resend();
    await pass(0);
    expect([post.events.filter((events) => events.startsWith("accepted")).length, post.store.keys()]).toEqual([
      MANY,
      [],
    ]);
  });

  test.each<[string, Reply]>([
    ["the network is gone", lost],
    ["502", () => problemResponse(502, "bad gateway")],
    ["502 with a page", () => new Response("<html>", { status: 502 })],
    ["503", () => problemResponse(503, "down")],
    ["503 with Retry-After", () => problemResponse(503, "down", { "retry-after": "5" })],
    ["504", () => problemResponse(504, "too late")],
    ["429", () => problemResponse(429, "slow down", { "retry-after": "5" })],
    ["408", () => problemResponse(408, "too slow")],
  ])("for half a day leaves none unsent, and all are sent afterwards: %s", async (_, reply) => {
    const { post } = loaded(reply);
    await pass(12 * HOUR);
    expect([post.unsent, post.waiting.length]).toEqual([[], MANY]);
    post.everything = undefined;
    await pass(120_000);
    expect([post.events.filter((events) => events.startsWith("accepted")).length, post.store.keys()]).toEqual([
      MANY,
      [],
    ]);
  });

  test.each<[string, number, number, Reply]>([
    ["one task, 500", 1, 6, () => problemResponse(500, "boom")],
    ["the maximum of tasks, 500", MAX_PENDING_TASKS, 320, () => problemResponse(500, "boom")],
    ["one task, 503", 1, 120, () => problemResponse(503, "down")],
    ["one task, 502", 1, 120, () => problemResponse(502, "bad gateway")],
    ["one task, 504", 1, 120, () => problemResponse(504, "too late")],
    ["the maximum of tasks, 504", MAX_PENDING_TASKS, 120, () => problemResponse(504, "too late")],
    ["the maximum of tasks, 503", MAX_PENDING_TASKS, 120, () => problemResponse(503, "down")],
    ["the maximum of tasks, a lost network", MAX_PENDING_TASKS, 120, lost],
  ])("is not asked too often in any hour: %s", async (_, many, limit, reply) => {
    const { post } = loaded(reply, many);
    await pass(3 * HOUR);
    const times = post.posts.map(({ at }) => at);
    for (const start of times)
      expect(times.filter((at) => at >= start && at < start + HOUR).length).toBeLessThan(limit);
  });

  test.each([429, 503])("and answers %i with a long Retry-After is asked again after five minutes", async (status) => {
    const { post } = loaded(() => problemResponse(status, "later", { "retry-after": "86400" }));
    await pass(299_000);
    expect(post.posts).toHaveLength(1);
    post.everything = undefined;
    await pass(3_000);
    expect(post.store.keys()).toEqual([]);
  });

  test("is reported soon where few tasks are waiting", async () => {
    const { post } = loaded(() => problemResponse(500, "boom"), 3);
    await pass(20_000);
    expect(post.unsent).toHaveLength(3);
  });

  test("and recovers briefly receives each task in the end", async () => {
    const { post } = loaded(() => problemResponse(503, "down"));
    for (let turn = 0; turn < 50; turn += 1) {
      post.everything = turn % 2 === 0 ? () => problemResponse(503, "down") : lost;
      await pass(60_000);
      post.everything = undefined;
      await pass(1);
    }
    await pass(HOUR);
    expect(post.store.keys()).toEqual([]);
  });
});
