import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { FakeMemory } from "../client/testing/harness";
import { problem } from "../client/testing/fake-service";
import { MAX_LETTERS, Outbox, type Exclusively, type Letter } from "./outbox";

type Reply = () => Response | Promise<Response>;

const ok: Reply = () => Response.json({ taskId: "t" }, { status: 202 });
const lost: Reply = () => Promise.reject(new TypeError("Failed to fetch"));

class Post {
  readonly memory = new FakeMemory();
  readonly said: string[] = [];
  readonly keys: string[] = [];
  readonly replies: Reply[] = [];
  signedIn = true;

  outbox(exclusively: Exclusively = oneAtATime()): Outbox {
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      this.keys.push(new Headers(init?.headers).get("idempotency-key") ?? "");
      return (this.replies.shift() ?? ok)();
    };
    const http = { fetch, getIdToken: async () => (this.signedIn ? "id" : null) };
    return new Outbox(http, "http://x.test/task", this.memory, exclusively, {
      accepted: ({ key }, taskId) => this.said.push(`accepted ${key} ${taskId}`),
      refused: ({ key }, reason) => this.said.push(`refused ${key} ${reason}`),
      delayed: () => this.said.push("delayed"),
      flowing: () => undefined,
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
    expect(outbox.letters()).toEqual([]);
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
    expect([post.said, outbox.letters().length]).toEqual([["signed out"], 1]);
  });

  test("closed while it sends writes nothing back and says nothing", async () => {
    const post = new Post();
    let answer: (response: Response) => void = () => undefined;
    post.replies.push(() => new Promise((resolve) => (answer = resolve)));
    const outbox = post.outbox();
    outbox.add(letter("a"));
    await settled();
    outbox.close();
    post.memory.clear();
    answer(Response.json({ taskId: "t" }));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([post.said, post.memory.value]).toEqual([[], null]);
  });

  test("is bounded", () => {
    const post = new Post();
    const outbox = post.outbox(async () => undefined);
    for (let id = 0; id < MAX_LETTERS; id += 1) expect(outbox.add(letter(String(id)))).toBe(true);
    expect(outbox.add(letter("one more"))).toBe(false);
  });

  test("survives a damaged memory", () => {
    const post = new Post();
    post.memory.value = "{";
    expect(post.outbox().letters()).toEqual([]);
  });
});
