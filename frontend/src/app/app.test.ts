import { describe, expect, test } from "vitest";
import { ServiceError } from "../client";
import { splitTasks } from "../tasks/split-tasks";
import { loadConfig, route } from "./config";
import { UserStorage } from "./user-storage";
import { advice, sameTrouble } from "./words";

const CONFIG = { tokenUrl: "a", taskUrl: "b", region: "c", userPoolId: "d", userPoolClientId: "e" };
const answering =
  (body: unknown, status = 200) =>
  async () =>
    Response.json(body, { status });

describe("the page's settings", () => {
  test("are read", async () => {
    await expect(loadConfig(answering(CONFIG))).resolves.toEqual(CONFIG);
  });

  test("that are incomplete are named, every one", async () => {
    await expect(loadConfig(answering({ ...CONFIG, tokenUrl: "", region: 7 }))).rejects.toThrow("tokenUrl, region");
  });

  test("that cannot be had say so", async () => {
    await expect(loadConfig(answering({}, 503))).rejects.toThrow("503");
  });

  test.each(["http://x", "http://x/", "http://x//"])("a route below %s", (url) => {
    expect(route(url, "token")).toBe("http://x/token");
  });
});

describe("splitting", () => {
  test("makes each line a task, without the blank ones", () => {
    expect(splitTasks(" a \n\n\t\r\nb\n")).toEqual({ tasks: ["a", "b"], error: null });
  });

  test.each([
    ["", "Write what is to be done."],
    ["a\n".repeat(51), "At most 50 tasks at once; these are 51."],
    ["😀".repeat(70_000), "One of these tasks is longer than the service takes (250 kB)."],
  ])("complains in words", (text, error) => {
    expect(splitTasks(text).error).toBe(error);
  });
});

describe("what a user's browser keeps", () => {
  class FakeStorage extends Map<string, string> {
    getItem = (key: string): string | null => this.get(key) ?? null;
    setItem = (key: string, value: string): void => void this.set(key, value);
    removeItem = (key: string): void => void this.delete(key);
  }

  /** Object.keys on a Storage lists what it holds. */
  function storage(): { real: Storage; held: FakeStorage } {
    const held = new FakeStorage();
    const real = new Proxy(held, {
      ownKeys: () => [...held.keys()],
      getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
    });
    return { real: real as unknown as Storage, held };
  }

  test("is kept apart from other users', and cleared alone", () => {
    const { real, held } = storage();
    held.set("foreign", "1");
    new UserStorage("alice", real).item("news").save("A");
    const bob = new UserStorage("bob", real);
    expect(bob.item("news").load()).toBeNull();
    bob.item("news").save("B");
    bob.clearOthers();
    expect([...held.values()]).toEqual(["1", "B"]);
    bob.clear();
    expect([...held.values()]).toEqual(["1"]);
  });

  test("may be nothing, where the browser forbids it", () => {
    const forbidden = new Proxy({} as Storage, {
      get: () => () => {
        throw new DOMException("denied");
      },
    });
    const item = new UserStorage("alice", forbidden).item("news");
    item.save("A");
    expect(item.load()).toBeNull();
    const shelf = new UserStorage("alice", forbidden).shelf("outbox");
    expect([shelf.save("a", "A"), shelf.load("a"), shelf.names()]).toEqual([false, null, []]);
  });

  test("may be many things of a kind, each under its own name", () => {
    const { real } = storage();
    const shelf = new UserStorage("alice", real).shelf("outbox");
    new UserStorage("alice", real).item("tasks").save("T");
    new UserStorage("bob", real).shelf("outbox").save("c", "C");
    expect([shelf.save("a", "A"), shelf.save("b", "B"), shelf.names()]).toEqual([true, true, ["a", "b"]]);
    shelf.remove("a");
    expect([shelf.names(), shelf.load("a"), shelf.load("b")]).toEqual([["b"], null, "B"]);
  });
});

describe("errors in words that a person can act on", () => {
  const delay = (error: unknown, fleeting = false) => ({ error, fleeting });
  const problem = { stage: "token", message: "x", status: 503 } as const;

  test.each([
    [new TypeError("Failed to fetch"), "The service cannot be reached."],
    [new ServiceError("quota", 429, "r", 2_500), "You have sent as many tasks as one user may for now."],
    [new ServiceError("down", 503, "r", undefined), "The service is busy or away for a moment."],
    [new ServiceError("boom", 500, "r-9", undefined), "The service answered with an error (request r-9)."],
  ])("%s", (error, words) => {
    expect(advice("live", null, delay(error))).toBe(`${words} Trying again by itself; your tasks are kept.`);
  });

  test("nothing is said while all is well", () => {
    expect([advice("live", null, null), advice("connecting", null, null)]).toEqual([null, null]);
  });

  test("offline says what becomes of tasks", () => {
    expect(advice("offline", null, null)).toMatch(/kept/);
  });

  test("tasks that would not outlive the page are said to, whatever delays them", () => {
    for (const state of ["live", "offline"] as const)
      expect(advice(state, null, delay(new TypeError(), true))).toMatch(/leave this page open/);
  });

  test("a problem's reason is told", () => {
    expect(advice("reconnecting", problem, null)).toMatch(/busy or away/);
  });

  test("the same trouble is known again, whichever request it was", () => {
    const busy = new ServiceError("down", 503, "r-1", undefined);
    expect(sameTrouble(busy, new ServiceError("down", 503, "r-2", 1_000))).toBe(true);
    expect(sameTrouble(problem, { ...problem, requestId: "r-2" })).toBe(true);
    expect(sameTrouble(busy, new TypeError())).toBe(false);
    expect(sameTrouble(null, busy)).toBe(false);
  });
});
