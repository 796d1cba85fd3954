import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { problem } from "../client/testing/fake-service";
import { Letters, type Letter } from "./letters";
import { Outbox, type Exclusively } from "./outbox";
import { FakeShelf } from "./testing/fake-shelf";

type Reply = () => Response | Promise<Response>;

const ok: Reply = () => Response.json({ taskId: "t" }, { status: 202 });
const lost: Reply = () => Promise.reject(new TypeError("Failed to fetch"));

class Post {
  readonly shelf = new FakeShelf();
  readonly said: string[] = [];
  readonly keys: string[] = [];
  /** How many had been posted each time that nothing was delaying any more. */
  readonly flows: number[] = [];
  readonly replies: Reply[] = [];
  signedIn = true;

  outbox(exclusively: Exclusively = oneAtATime()): Outbox {
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      this.keys.push(new Headers(init?.headers).get("idempotency-key") ?? "");
      return (this.replies.shift() ?? ok)();
    };
    const http = { fetch, getIdToken: async () => (this.signedIn ? "id" : null) };
    return new Outbox(http, "http://x.test/task", new Letters(this.shelf), exclusively, {
      accepted: ({ key }, taskId) => this.said.push(`accepted ${key} ${taskId}`),
      refused: ({ key }, reason) => this.said.push(`refused ${key} ${reason}`),
      unsent: ({ key }, error) => this.said.push(`unsent ${key} ${error instanceof Error ? error.message : ""}`),
      delayed: () => this.said.push("delayed"),
      flowing: () => this.flows.push(this.keys.length),
      signedOut: () => this.said.push("signed out"),
    });
  }
}

const letter = (key: string): Letter => ({ key, data: "x", at: 1 });

/** As the Web Locks API does: the next begins when the one before it has ended. */
function oneAtATime(): Exclusively {
  let last = Promise.resolve();
  return (action) => (last = last.then(action));
}

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the outbox", () => {
  test("sends in order, each with its own key", async () => {
    const post = new Post();
    const outbox = post.outbox();
    for (const key of ["a", "b", "c"]) outbox.add(letter(key));
    await settled();
    expect(post.keys).toEqual(["a", "b", "c"]);
    expect(post.shelf.names()).toEqual([]);
  });

  test.each<[string, Reply]>([
    ["a lost network", lost],
    ["a 503", () => problem(503, "down")],
    ["a 429", () => problem(429, "slow down")],
    ["an answer without a task id", () => Response.json({})],
  ])("keeps what %s refuses and sends it again with the same key", async (_, reply) => {
    const post = new Post();
    post.replies.push(reply);
    post.outbox().add(letter("a"));
    await settled();
    expect(post.said).toEqual(["delayed"]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(post.keys).toEqual(["a", "a"]);
    expect(post.said).toEqual(["delayed", "accepted a t"]);
  });

  test("waits as long as the service says", async () => {
    const post = new Post();
    post.replies.push(() => problem(429, "slow down", { "retry-after": "30" }));
    post.outbox().add(letter("a"));
    await vi.advanceTimersByTimeAsync(29_900);
    expect(post.keys).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(post.keys).toEqual(["a", "a"]);
  });

  test("gives up what will never be taken, says why, and goes on", async () => {
    const post = new Post();
    post.replies.push(() => problem(413, "too large"));
    const outbox = post.outbox();
    outbox.add(letter("a"));
    outbox.add(letter("b"));
    await settled();
    expect(post.said).toEqual(["refused a too large", "accepted b t"]);
  });

  test("outlives the page", async () => {
    const post = new Post();
    post.replies.push(lost);
    const first = post.outbox();
    first.add(letter("a"));
    await settled();
    first.close();
    post.outbox().flush();
    await settled();
    expect(post.keys).toEqual(["a", "a"]);
  });

  test("of two tabs is sent once", async () => {
    const post = new Post();
    const exclusively = oneAtATime();
    const [one, two] = [post.outbox(exclusively), post.outbox(exclusively)];
    one.add(letter("a"));
    two.add(letter("b"));
    one.flush();
    two.flush();
    await settled();
    expect(post.keys).toEqual(["a", "b"]);
  });

  test("keeps what could not be sent for want of a session", async () => {
    const post = new Post();
    post.signedIn = false;
    const outbox = post.outbox();
    outbox.add(letter("a"));
    await settled();
    expect([post.said, post.shelf.names()]).toEqual([["signed out"], ["a"]]);
  });

  test("closed while it sends writes nothing back and says nothing", async () => {
    const post = new Post();
    let answer: (response: Response) => void = () => undefined;
    post.replies.push(() => new Promise((resolve) => (answer = resolve)));
    const outbox = post.outbox();
    outbox.add(letter("a"));
    await settled();
    outbox.close();
    post.shelf.kept.clear();
    answer(Response.json({ taskId: "t" }));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([post.said, post.shelf.written]).toEqual([[], ["a"]]);
  });

  test("many at once find out once that the service wants a pause, and keep it", async () => {
    const post = new Post();
    for (let id = 0; id < 3; id += 1) post.replies.push(() => problem(429, "slow down", { "retry-after": "60" }));
    const outbox = post.outbox();
    for (let id = 0; id < 50; id += 1) outbox.add({ ...letter(String(id)), at: id });
    await settled();
    outbox.add(letter("late"));
    await vi.advanceTimersByTimeAsync(59_900);
    expect([post.keys, vi.getTimerCount()]).toEqual([["0"], 1]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect([post.keys, vi.getTimerCount()]).toEqual([["0", "0"], 1]);
  });

  test("asked to send now keeps no pause, and leaves one timer behind", async () => {
    const post = new Post();
    for (let id = 0; id < 2; id += 1) post.replies.push(() => problem(429, "slow down", { "retry-after": "60" }));
    const outbox = post.outbox();
    outbox.add(letter("a"));
    await settled();
    outbox.flush();
    await settled();
    expect([post.keys, vi.getTimerCount()]).toEqual([["a", "a"], 1]);
    outbox.flush();
    await settled();
    expect([post.said.at(-1), vi.getTimerCount()]).toEqual(["accepted a t", 0]);
  });

  test("sends what storage does not take", async () => {
    const post = new Post();
    post.shelf.full = true;
    post.outbox().add(letter("a"));
    await settled();
    expect(post.said).toEqual(["accepted a t"]);
  });

  test("whose letters another tab has sent meanwhile is delayed no more", async () => {
    const post = new Post();
    post.replies.push(lost);
    post.outbox().add(letter("a"));
    await settled();
    post.shelf.kept.clear();
    await vi.advanceTimersByTimeAsync(1_000);
    expect([post.said, post.flows]).toEqual([["delayed"], [1]]);
  });
});
