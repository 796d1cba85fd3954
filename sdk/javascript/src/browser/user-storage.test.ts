import { describe, expect, test } from "vitest";
import { FakeWebStorage } from "../testing/fake-web-storage";
import { UserStorage } from "./user-storage";

describe("the storage of a user", () => {
  test("is separate from other users', and cleared alone", () => {
    const real = new FakeWebStorage();
    real.setItem("foreign", "1");
    new UserStorage("alice", real).value("seen").save("A");
    const bob = new UserStorage("bob", real);
    expect(bob.value("seen").load()).toBeNull();
    bob.value("seen").save("B");
    bob.clearOthers();
    expect([...real.values.values()]).toEqual(["1", "B"]);
    bob.clear();
    expect([...real.values.values()]).toEqual(["1"]);
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

  test("may be missing", () => {
    const store = new UserStorage("alice", null).keyValueStore("pending");
    expect([store.save("a", "A"), store.load("a"), store.keys()]).toEqual([false, null, []]);
  });

  test("may hold many values of a kind, each under its own key", () => {
    const real = new FakeWebStorage();
    const store = new UserStorage("alice", real).keyValueStore("pending");
    new UserStorage("alice", real).value("tasks").save("T");
    new UserStorage("bob", real).keyValueStore("pending").save("c", "C");
    expect([store.save("a", "A"), store.save("b", "B"), store.keys()]).toEqual([true, true, ["a", "b"]]);
    store.remove("a");
    expect([store.keys(), store.load("a"), store.load("b")]).toEqual([["b"], null, "B"]);
  });
});
