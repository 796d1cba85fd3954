import { describe, expect, test } from "vitest";
import { UserStorage } from "./user-storage";

describe("the storage of a user", () => {
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

  test("is separate from other users', and cleared alone", () => {
    const { real, held } = storage();
    held.set("foreign", "1");
    new UserStorage("alice", real).value("seen").save("A");
    const bob = new UserStorage("bob", real);
    expect(bob.value("seen").load()).toBeNull();
    bob.value("seen").save("B");
    bob.clearOthers();
    expect([...held.values()]).toEqual(["1", "B"]);
    bob.clear();
    expect([...held.values()]).toEqual(["1"]);
  });

  test("may be blocked by the browser", () => {
    const forbidden = new Proxy({} as Storage, {
      get: () => () => {
        throw new DOMException("denied");
      },
    });
    const value = new UserStorage("alice", forbidden).value("seen");
    value.save("A");
    expect(value.load()).toBeNull();
    const store = new UserStorage("alice", forbidden).keyValueStore("pending");
    expect([store.save("a", "A"), store.load("a"), store.keys()]).toEqual([false, null, []]);
  });

  test("may hold many values of a kind, each under its own key", () => {
    const { real } = storage();
    const store = new UserStorage("alice", real).keyValueStore("pending");
    new UserStorage("alice", real).value("tasks").save("T");
    new UserStorage("bob", real).keyValueStore("pending").save("c", "C");
    expect([store.save("a", "A"), store.save("b", "B"), store.keys()]).toEqual([true, true, ["a", "b"]]);
    store.remove("a");
    expect([store.keys(), store.load("a"), store.load("b")]).toEqual([["b"], null, "B"]);
  });
});
