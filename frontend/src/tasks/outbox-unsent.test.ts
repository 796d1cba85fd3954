import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { problem } from "../client/testing/fake-service";
import { Letters, MAX_LETTERS, MAX_TRIES, type Letter } from "./letters";
import { Outbox, type Exclusively } from "./outbox";
import { FakeShelf } from "./testing/fake-shelf";

type Reply = () => Response | Promise<Response>;

const HOUR = 3_600_000;
const lost: Reply = () => Promise.reject(new TypeError("Failed to fetch"));
const page: Reply = () => new Response("<html>", { status: 200 });

/** A service that answers each task in its own way; those that are not named are accepted. */
class Post {
  readonly shelf = new FakeShelf();
  readonly posts: { key: string; at: number }[] = [];
  readonly said: string[] = [];
  readonly answers = new Map<string, Reply>();
  isDelayed = false;
  /** To whatever is posted. */
  everything: Reply | undefined;

  outbox(exclusively: Exclusively = oneAtATime()): Outbox {
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      const key = new Headers(init?.headers).get("idempotency-key") ?? "";
      this.posts.push({ key, at: Date.now() });
      const reply = this.everything ?? this.answers.get(key);
      return reply === undefined ? Response.json({ taskId: `task of ${key}` }, { status: 202 }) : reply();
    };
    const http = { fetch, getIdToken: async () => "id" };
    return new Outbox(http, "http://x.test/task", new Letters(this.shelf), exclusively, {
      accepted: ({ key }) => this.said.push(`accepted ${key}`),
      refused: ({ key }, reason) => this.said.push(`refused ${key} ${reason}`),
      unsent: ({ key }) => this.said.push(`unsent ${key}`),
      delayed: () => (this.isDelayed = true),
      flowing: () => (this.isDelayed = false),
      signedOut: () => this.said.push("signed out"),
    });
  }

  count(key: string): number {
    return this.posts.filter((post) => post.key === key).length;
  }

  get waiting(): string[] {
    return new Letters(this.shelf).waiting().map(({ key }) => key);
  }

  get unsent(): string[] {
    return new Letters(this.shelf).unsent().map(({ key }) => key);
  }
}

const letter = (key: string, at = 1): Letter => ({ key, data: "x", at });

function oneAtATime(): Exclusively {
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

describe("one task that the service never takes", () => {
  test.each<[string, Reply]>([
    ["500", () => problem(500, "boom")],
    ["501", () => problem(501, "no")],
    ["500 with Retry-After", () => problem(500, "boom", { "retry-after": "3" })],
    ["202 without a task id", () => Response.json({}, { status: 202 })],
    ["202 with nothing", () => Response.json(null, { status: 202 })],
    ["a page", page],
  ])("is stepped over after a few tries, and holds up no other: %s", async (name, reply) => {
    const post = new Post();
    post.answers.set("bad", reply);
    const outbox = post.outbox();
    outbox.add(letter("bad", 1));
    outbox.add(letter("b", 2));
    outbox.add(letter("c", 3));
    await pass(5_000);
    expect(post.said.slice(0, 2)).toEqual(["accepted b", "accepted c"]);
    const [bad, first] = post.posts;
    expect((first?.at ?? 0) - (bad?.at ?? 0)).toBeLessThanOrEqual(name.endsWith("Retry-After") ? 4_000 : 0);
    await pass(HOUR);
    expect([post.said.at(-1), post.count("bad"), post.unsent]).toEqual(["unsent bad", MAX_TRIES, ["bad"]]);
    outbox.add(letter("d", 4));
    await pass(0);
    expect(post.said.at(-1)).toBe("accepted d");
    expect(vi.getTimerCount()).toBe(0);
  });

  test.each([60, 3_600, 86_400])("and asks for %i s waits by itself, for some minutes at most", async (seconds) => {
    const post = new Post();
    post.answers.set("bad", () => problem(500, "boom", { "retry-after": `${seconds}` }));
    const outbox = post.outbox();
    outbox.add(letter("bad", 1));
    outbox.add(letter("b", 2));
    await pass(0);
    outbox.add(letter("c", 3));
    await pass(0);
    expect([post.said, post.count("bad")]).toEqual([["accepted b", "accepted c"], 1]);
    await pass(59_000);
    expect(post.count("bad")).toBe(1);
    await pass(300_000 - 59_000 + 1_000);
    expect(post.count("bad")).toBeGreaterThan(1);
    await pass(HOUR);
    expect([post.count("bad"), post.unsent, vi.getTimerCount()]).toEqual([MAX_TRIES, ["bad"], 0]);
  });

  test("and waits by itself is sent when asked for, and said to be delayed until then", async () => {
    const post = new Post();
    post.answers.set("bad", () => problem(500, "boom", { "retry-after": "3600" }));
    const outbox = post.outbox();
    outbox.add(letter("bad", 1));
    outbox.add(letter("b", 2));
    await pass(0);
    expect(post.isDelayed).toBe(true);
    post.answers.clear();
    outbox.flush();
    await pass(0);
    expect([post.said, post.isDelayed, vi.getTimerCount()]).toEqual([["accepted b", "accepted bad"], false, 0]);
  });

  test("and waits by itself is forgotten when the outbox is closed", async () => {
    const post = new Post();
    post.answers.set("bad", () => problem(500, "boom", { "retry-after": "3600" }));
    const outbox = post.outbox();
    outbox.add(letter("bad", 1));
    await pass(0);
    outbox.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  const MOMENTARY: [string, Reply][] = [
    ["a lost network", lost],
    ["408", () => problem(408, "too slow")],
    ["502", () => problem(502, "bad gateway")],
    ["502 with a page", () => new Response("<html>", { status: 502 })],
    ["503", () => problem(503, "down")],
    ["503 with Retry-After", () => problem(503, "down", { "retry-after": "3" })],
    ["504", () => problem(504, "too late")],
  ];

  test.each(MOMENTARY)("is stepped over where the others show that it is the only one: %s", async (_, reply) => {
    const post = new Post();
    post.answers.set("bad", reply);
    const outbox = post.outbox();
    outbox.add(letter("bad", 0));
    for (let id = 1; id <= MAX_TRIES; id += 1) {
      outbox.add(letter(`${id}`, id));
      await pass(120_000);
      expect(post.said).toContain(`accepted ${id}`);
    }
    expect(post.unsent).toEqual(["bad"]);
    const before = post.count("bad");
    await pass(HOUR);
    expect(post.count("bad")).toBe(before);
  });

  test.each(MOMENTARY)(
    "lets those that wait behind it go, and keeps its tries while it is alone: %s",
    async (_, reply) => {
      const post = new Post();
      post.answers.set("bad", reply);
      const outbox = post.outbox();
      outbox.add(letter("bad", 1));
      outbox.add(letter("b", 2));
      outbox.add(letter("c", 3));
      await pass(10_000);
      expect(post.said).toEqual(["accepted b", "accepted c"]);
      await pass(12 * HOUR);
      expect([post.waiting, post.unsent]).toEqual([["bad"], []]);
      outbox.add(letter("d", 4));
      await pass(60_000);
      expect(post.said.at(-1)).toBe("accepted d");
      post.answers.clear();
      await pass(60_000);
      expect([post.said.at(-1), post.shelf.names()]).toEqual(["accepted bad", []]);
    },
  );

  test("for a reason of the user's own holds up no other, and is never given up", async () => {
    const post = new Post();
    post.answers.set("bad", () => problem(429, "slow down", { "retry-after": "2" }));
    const outbox = post.outbox();
    outbox.add(letter("bad", 0));
    for (let id = 1; id <= 10; id += 1) {
      outbox.add(letter(`${id}`, id));
      await pass(60_000);
      expect(post.said).toContain(`accepted ${id}`);
    }
    expect([post.waiting, post.unsent]).toEqual([["bad"], []]);
  });

  test.each([403, 404, 405, 409, 421])("because of a %i is stepped over at once, with a way back", async (status) => {
    const post = new Post();
    post.answers.set("bad", () => problem(status, "no"));
    const outbox = post.outbox();
    outbox.add(letter("bad", 1));
    outbox.add(letter("b", 2));
    await pass(0);
    expect([post.said, post.unsent]).toEqual([["unsent bad", "accepted b"], ["bad"]]);
    post.answers.clear();
    outbox.resend("bad");
    await pass(0);
    expect(post.said.at(-1)).toBe("accepted bad");
  });

  test.each([400, 413, 415, 422])("because of a %i is refused, which no retry changes", async (status) => {
    const post = new Post();
    post.answers.set("bad", () => problem(status, "The queue takes 200 kB"));
    const outbox = post.outbox();
    outbox.add(letter("bad"));
    await pass(0);
    expect([post.said, outbox.resend("bad"), post.shelf.names()]).toEqual([
      ["refused bad The queue takes 200 kB"],
      [],
      [],
    ]);
  });

  test("stays stepped over when the page is loaded anew, and is sent with the same key when asked for", async () => {
    const post = new Post();
    post.answers.set("bad", () => problem(500, "boom"));
    const first = post.outbox();
    first.add(letter("bad"));
    await pass(HOUR);
    first.close();
    const outbox = post.outbox();
    outbox.flush();
    await pass(HOUR);
    expect(post.count("bad")).toBe(MAX_TRIES);
    post.answers.clear();
    expect(outbox.resend("bad").map(({ key }) => key)).toEqual(["bad"]);
    await pass(0);
    expect([post.said.at(-1), post.posts.at(-1)?.key, post.shelf.names()]).toEqual(["accepted bad", "bad", []]);
  });

  test("keeps the tries that it had when the page is loaded anew in between", async () => {
    const post = new Post();
    post.answers.set("bad", () => problem(500, "boom"));
    const first = post.outbox();
    first.add(letter("bad"));
    await pass(1_100); // two tries
    first.close();
    post.outbox().flush();
    await pass(HOUR);
    expect(post.count("bad")).toBe(MAX_TRIES);
  });

  test("has as many tries over all tabs, and is sent once when one of them asks for it", async () => {
    const post = new Post();
    post.answers.set("bad", () => problem(500, "boom"));
    const exclusively = oneAtATime();
    const tabs = [post.outbox(exclusively), post.outbox(exclusively), post.outbox(exclusively)] as const;
    tabs[0].add(letter("bad"));
    for (const tab of tabs) tab.flush();
    await pass(HOUR);
    expect([post.count("bad"), post.said.filter((said) => said === "unsent bad")]).toEqual([MAX_TRIES, ["unsent bad"]]);
    post.answers.clear();
    tabs[2].resend("bad");
    for (const tab of tabs) tab.flush();
    await pass(HOUR);
    expect([post.count("bad"), post.said.at(-1)]).toEqual([MAX_TRIES + 1, "accepted bad"]);
  });

  test("that was removed is posted no more", async () => {
    const post = new Post();
    post.answers.set("bad", () => problem(500, "boom"));
    const outbox = post.outbox();
    outbox.add(letter("bad"));
    await pass(HOUR);
    new Letters(post.shelf).remove({ key: "bad" });
    expect(outbox.resend()).toEqual([]);
    await pass(HOUR);
    expect([post.count("bad"), post.shelf.names()]).toEqual([MAX_TRIES, []]);
  });

  test("that storage did not take has its tries all the same", async () => {
    const post = new Post();
    post.shelf.full = true;
    post.answers.set("bad", () => problem(500, "boom"));
    const outbox = post.outbox();
    outbox.add(letter("bad"));
    await pass(HOUR);
    expect(post.count("bad")).toBe(MAX_TRIES);
    post.answers.clear();
    outbox.resend("bad");
    await pass(0);
    expect(post.said).toEqual(["unsent bad", "accepted bad"]);
  });
});

describe("a service that takes nothing", () => {
  const MANY = 30;

  function loaded(everything: Reply, many = MANY): { post: Post; outbox: Outbox } {
    const post = new Post();
    post.everything = everything;
    const outbox = post.outbox();
    for (let id = 0; id < many; id += 1) outbox.add(letter(`${id}`, id));
    return { post, outbox };
  }

  test.each([500, 501, 505])("but answers %i has each task tried, and sends all when asked", async (status) => {
    const { post, outbox } = loaded(() => problem(status, "boom"));
    await pass(30_000);
    expect(new Set(post.posts.map(({ key }) => key)).size).toBeGreaterThan(3); // not always the first
    await pass(4 * HOUR);
    expect([post.unsent.length, post.posts.length]).toEqual([MANY, MANY * MAX_TRIES]);
    post.everything = undefined;
    outbox.resend();
    await pass(0);
    expect([post.said.filter((said) => said.startsWith("accepted")).length, post.shelf.names()]).toEqual([MANY, []]);
  });

  test.each<[string, Reply]>([
    ["the network is gone", lost],
    ["502", () => problem(502, "bad gateway")],
    ["502 with a page", () => new Response("<html>", { status: 502 })],
    ["503", () => problem(503, "down")],
    ["503 with Retry-After", () => problem(503, "down", { "retry-after": "5" })],
    ["504", () => problem(504, "too late")],
    ["429", () => problem(429, "slow down", { "retry-after": "5" })],
    ["408", () => problem(408, "too slow")],
  ])("for half a day gives none up, and all are sent by themselves afterwards: %s", async (_, reply) => {
    const { post } = loaded(reply);
    await pass(12 * HOUR);
    expect([post.unsent, post.waiting.length]).toEqual([[], MANY]);
    post.everything = undefined;
    await pass(120_000);
    expect([post.said.filter((said) => said.startsWith("accepted")).length, post.shelf.names()]).toEqual([MANY, []]);
  });

  test.each<[string, number, number, Reply]>([
    ["one task, 500", 1, 6, () => problem(500, "boom")],
    ["as many as there may be, 500", MAX_LETTERS, 320, () => problem(500, "boom")],
    ["one task, 503", 1, 120, () => problem(503, "down")],
    ["one task, 502", 1, 120, () => problem(502, "bad gateway")],
    ["one task, 504", 1, 120, () => problem(504, "too late")],
    ["as many as there may be, 504", MAX_LETTERS, 120, () => problem(504, "too late")],
    ["as many as there may be, 503", MAX_LETTERS, 120, () => problem(503, "down")],
    ["as many as there may be, a lost network", MAX_LETTERS, 120, lost],
  ])("is not asked too often in any hour: %s", async (_, many, limit, reply) => {
    const { post } = loaded(reply, many);
    await pass(3 * HOUR);
    const times = post.posts.map(({ at }) => at);
    for (const start of times)
      expect(times.filter((at) => at >= start && at < start + HOUR).length).toBeLessThan(limit);
  });

  test.each([429, 503])("and answers %i with a long Retry-After is asked again after five minutes", async (status) => {
    const { post } = loaded(() => problem(status, "later", { "retry-after": "86400" }));
    await pass(299_000);
    expect(post.posts).toHaveLength(1);
    post.everything = undefined;
    await pass(3_000);
    expect(post.shelf.names()).toEqual([]);
  });

  test("says so soon where it has few tasks to fail", async () => {
    const { post } = loaded(() => problem(500, "boom"), 3);
    await pass(20_000);
    expect(post.unsent).toHaveLength(3);
  });

  test("in turns takes each task in the end", async () => {
    const { post } = loaded(() => problem(503, "down"));
    for (let turn = 0; turn < 50; turn += 1) {
      post.everything = turn % 2 === 0 ? () => problem(503, "down") : lost;
      await pass(60_000);
      post.everything = undefined;
      await pass(1);
    }
    await pass(HOUR);
    expect(post.shelf.names()).toEqual([]);
  });
});
