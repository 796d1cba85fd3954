import { describe, expect, test } from "vitest";
import { ServiceError } from "../client";
import { DEFAULT_MAX_BODY_BYTES, splitTasks } from "../tasks/split-tasks";
import { taskBody } from "../tasks/task-body";
import { loadConfig, route } from "./config";
import { UserStorage } from "./user-storage";
import { advice, sameTrouble, unsentReason } from "./words";

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

  test("may say how much the ingest service takes", async () => {
    await expect(loadConfig(answering({ ...CONFIG, maxBodyBytes: 1_000 }))).resolves.toMatchObject({
      maxBodyBytes: 1_000,
    });
  });

  test.each([0, -1, 1.5, "1000", null])("that say it wrong, %j, are refused", async (maxBodyBytes) => {
    await expect(loadConfig(answering({ ...CONFIG, maxBodyBytes }))).rejects.toThrow("maxBodyBytes");
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
    [
      "😀".repeat(70_000),
      "One of these tasks is longer than the service takes (262,144 bytes): it has 280,011 as it is sent.",
    ],
  ])("complains in words", (text, error) => {
    expect(splitTasks(text).error).toBe(error);
  });

  const AROUND = '{"data":""}'.length;
  test.each([
    ["letters", "a", 1],
    ["quotes", '"', 2],
    ["backslashes", "\\", 2],
    ["control characters", "\u0001", 6],
    ["halves of a character", "\ud83d", 6],
    ["letters of two bytes", "ж", 2],
    ["characters of four bytes", "😀", 4],
    ["line separators", "x\u2028x", 5],
  ])("counts the bytes of the request: %s", (_, character, bytes) => {
    const fits = character.repeat(Math.floor((DEFAULT_MAX_BODY_BYTES - AROUND) / bytes));
    expect(splitTasks(fits)).toEqual({ tasks: [fits], error: null });
    expect(new TextEncoder().encode(taskBody(fits)).length).toBeGreaterThan(DEFAULT_MAX_BODY_BYTES - bytes);
    expect(splitTasks(fits + character).error).toMatch(/longer than the service takes/);
  });

  test("knows another limit, and finds the one line that is over it", () => {
    expect(splitTasks(`short\n${'"'.repeat(45)}`, 100).error).toContain("(100 bytes): it has 101");
    expect(splitTasks(`short\n${'"'.repeat(44)}`, 100).error).toBeNull();
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

  test("tasks that are no longer tried are mentioned, unless something else is the matter", () => {
    expect(advice("live", null, null, true)).toMatch(/were not sent/);
    expect(advice("live", null, delay(new TypeError()), true)).toMatch(/cannot be reached/);
    expect(advice("offline", null, null, true)).toMatch(/offline/);
  });

  test.each([
    [new ServiceError("boom", 500, "r-9", undefined), "The service answered with an error (request r-9)."],
    [new ServiceError("No such route", 404, "r-9", undefined), "No such route"],
    [new TypeError("Failed to fetch"), "The service cannot be reached."],
  ])("why a task is no longer tried: %s", (error, words) => {
    expect(unsentReason(error)).toBe(words);
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
