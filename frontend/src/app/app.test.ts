import { describe, expect, test } from "vitest";
import { ServiceError } from "../client";
import { splitTasks } from "../tasks/split-tasks";
import { loadConfig, route } from "./config";
import { UserStorage } from "./user-storage";
import { connectionAdvice, delayAdvice } from "./words";

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
  });
});

describe("errors in words that a person can act on", () => {
  test.each([
    [new TypeError("Failed to fetch"), "The service cannot be reached. Trying again in 3 s; your tasks are kept."],
    [
      new ServiceError("quota", 429, "r", 2_500),
      "You have sent as many tasks as one user may for now. Trying again in 3 s; your tasks are kept.",
    ],
    [
      new ServiceError("down", 503, "r", undefined),
      "The service is busy or away for a moment. Trying again in 3 s; your tasks are kept.",
    ],
    [
      new ServiceError("boom", 500, "r-9", undefined),
      "The service answered with an error (request r-9). Trying again in 3 s; your tasks are kept.",
    ],
  ])("%s", (error, words) => {
    expect(delayAdvice(error, 2_500)).toBe(words);
  });

  test("nothing is said while all is well", () => {
    expect([connectionAdvice("live", null), connectionAdvice("connecting", null)]).toEqual([null, null]);
  });

  test("offline says what becomes of tasks", () => {
    expect(connectionAdvice("offline", null)).toMatch(/kept/);
  });

  test("a problem's reason is told", () => {
    expect(connectionAdvice("reconnecting", { stage: "token", message: "x", status: 503 })).toMatch(/busy or away/);
  });
});
