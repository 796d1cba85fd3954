import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SYSTEM_CLOCK } from "../internal/timers";
import { messageOf, problemResponse } from "../testing/fake-service";
import { PendingTasks, type PendingTask } from "./pending-tasks";
import { TaskSubmitter, type SubmitterListener, type WithLock } from "./submitter";
import { FakeKeyValueStore } from "../testing/fake-key-value-store";

type Reply = () => Response | Promise<Response>;

const ok: Reply = () => Response.json({ taskId: "t" }, { status: 202 });
const lost: Reply = () => Promise.reject(new TypeError("Failed to fetch"));

class Post {
  readonly store = new FakeKeyValueStore();
  readonly events: string[] = [];
  readonly keys: string[] = [];
  readonly bodies: unknown[] = [];
  /** How many had been posted each time that a delay ended. */
  readonly resumedAfter: number[] = [];
  readonly replies: Reply[] = [];
  signedIn = true;

  submitter(withLock: WithLock = oneAtATime()): TaskSubmitter {
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      this.keys.push(new Headers(init?.headers).get("idempotency-key") ?? "");
      this.bodies.push(JSON.parse(String(init?.body)));
      return (this.replies.shift() ?? ok)();
    };
    const http = { baseUrl: "http://x.test/", fetch, getIdToken: async () => (this.signedIn ? "id" : null) };
    const listener: SubmitterListener = {
      accepted: ({ key }, taskId) => this.events.push(`accepted ${key} ${taskId}`),
      rejected: ({ key }, error) => this.events.push(`rejected ${key} ${messageOf(error)}`),
      unsent: ({ key }, error) => this.events.push(`unsent ${key} ${messageOf(error)}`),
      delayed: () => this.events.push("delayed"),
      resumed: () => this.resumedAfter.push(this.keys.length),
      signedOut: () => this.events.push("signed out"),
    };
    const pending = new PendingTasks(this.store);
    return new TaskSubmitter({ http, pending, withLock, listener, clock: SYSTEM_CLOCK, random: Math.random });
  }
}

const task = (key: string): PendingTask => ({ key, data: "x", at: 1 });

/** As the Web Locks API: an action starts when the one before it has ended. */
function oneAtATime(): WithLock {
  let last = Promise.resolve();
  return (action) => (last = last.then(action));
}

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("the task submitter", () => {
  test("sends in order, each with its own key", async () => {
    const post = new Post();
    const submitter = post.submitter();
    for (const key of ["a", "b", "c"]) submitter.add(task(key));
    await settled();
    expect(post.keys).toEqual(["a", "b", "c"]);
    expect(post.store.keys()).toEqual([]);
  });

  test.each<[string, Reply]>([
    ["a lost network", lost],
    ["a 503", () => problemResponse(503, "down")],
    ["a 429", () => problemResponse(429, "slow down")],
    ["an answer without a task id", () => Response.json({})],
  ])("keeps a task after %s and sends it again with the same key", async (_, reply) => {
    const post = new Post();
    post.replies.push(reply);
    post.submitter().add(task("a"));
    await settled();
    expect(post.events).toEqual(["delayed"]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(post.keys).toEqual(["a", "a"]);
    expect(post.events).toEqual(["delayed", "accepted a t"]);
  });

  test("sends any JSON, with its type, delay and expiry", async () => {
    const post = new Post();
    const options = { type: "report", delaySeconds: 60, ttlSeconds: 3_600 };
    post.submitter().add({ ...task("a"), data: { month: 10 }, options });
    await settled();
    expect(post.bodies).toEqual([{ data: { month: 10 }, ...options }]);
  });

  test("honours a Retry-After", async () => {
    const post = new Post();
    post.replies.push(() => problemResponse(429, "slow down", { "retry-after": "30" }));
    post.submitter().add(task("a"));
    await vi.advanceTimersByTimeAsync(29_900);
    expect(post.keys).toEqual(["a"]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(post.keys).toEqual(["a", "a"]);
  });

  test("drops a task that is rejected, reports why, and continues", async () => {
    const post = new Post();
    post.replies.push(() => problemResponse(413, "too large"));
    const submitter = post.submitter();
    submitter.add(task("a"));
    submitter.add(task("b"));
    await settled();
    expect(post.events).toEqual(["rejected a too large", "accepted b t"]);
  });

  test("continues after a page load", async () => {
    const post = new Post();
    post.replies.push(lost);
    const first = post.submitter();
    first.add(task("a"));
    await settled();
    first.close();
    post.submitter().flush();
    await settled();
    expect(post.keys).toEqual(["a", "a"]);
  });

  test("in two tabs sends each task once", async () => {
    const post = new Post();
    const withLock = oneAtATime();
    const [one, two] = [post.submitter(withLock), post.submitter(withLock)];
    one.add(task("a"));
    two.add(task("b"));
    one.flush();
    two.flush();
    await settled();
    expect(post.keys).toEqual(["a", "b"]);
  });

  test("keeps a task that cannot be sent without a session", async () => {
    const post = new Post();
    post.signedIn = false;
    const submitter = post.submitter();
    submitter.add(task("a"));
    await settled();
    expect([post.events, post.store.keys()]).toEqual([["signed out"], ["a"]]);
  });

  test("closed during a request writes nothing and reports nothing", async () => {
    const post = new Post();
    let answer: (response: Response) => void = () => undefined;
    post.replies.push(() => new Promise((resolve) => (answer = resolve)));
    const submitter = post.submitter();
    submitter.add(task("a"));
    await settled();
    submitter.close();
    post.store.values.clear();
    answer(Response.json({ taskId: "t" }));
    await vi.advanceTimersByTimeAsync(60_000);
    expect([post.events, post.store.writes]).toEqual([[], ["a"]]);
  });

  test("with many tasks learns of a pause once, and honours it for all", async () => {
    const post = new Post();
    for (let id = 0; id < 3; id += 1)
      post.replies.push(() => problemResponse(429, "slow down", { "retry-after": "60" }));
    const submitter = post.submitter();
    for (let id = 0; id < 50; id += 1) submitter.add({ ...task(String(id)), at: id });
    await settled();
    submitter.add(task("late"));
    await vi.advanceTimersByTimeAsync(59_900);
    expect([post.keys, vi.getTimerCount()]).toEqual([["0"], 1]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect([post.keys, vi.getTimerCount()]).toEqual([["0", "0"], 1]);
  });

  test("asked to send now ends the pause, and leaves one timer behind", async () => {
    const post = new Post();
    for (let id = 0; id < 2; id += 1)
      post.replies.push(() => problemResponse(429, "slow down", { "retry-after": "60" }));
    const submitter = post.submitter();
    submitter.add(task("a"));
    await settled();
    submitter.flush();
    await settled();
    expect([post.keys, vi.getTimerCount()]).toEqual([["a", "a"], 1]);
    submitter.flush();
    await settled();
    expect([post.events.at(-1), vi.getTimerCount()]).toEqual(["accepted a t", 0]);
  });

  test("sends a task that storage does not take", async () => {
    const post = new Post();
    post.store.full = true;
    post.submitter().add(task("a"));
    await settled();
    expect(post.events).toEqual(["accepted a t"]);
  });

  test("is no longer delayed when another tab has sent its tasks meanwhile", async () => {
    const post = new Post();
    post.replies.push(lost);
    post.submitter().add(task("a"));
    await settled();
    post.store.values.clear();
    await vi.advanceTimersByTimeAsync(1_000);
    expect([post.events, post.resumedAfter]).toEqual([["delayed"], [1]]);
  });
});
