import { expect, test } from "vitest";
import { UserStorage } from "./user-storage";

class FakeStorage extends Map<string, string> {
  getItem = (key: string): string | null => this.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.set(key, value);
  removeItem = (key: string): void => void this.delete(key);
}

test("a user's values are separate from others', and cleared alone", () => {
  const held = new FakeStorage();
  /** Object.keys on a Storage lists what it holds. */
  const storage = new Proxy(held, {
    ownKeys: () => [...held.keys()],
    getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
  }) as unknown as Storage;
  held.set("foreign", "1");
  new UserStorage("alice", storage).value("draft").save("A");
  const bob = new UserStorage("bob", storage);
  expect(bob.value("draft").load()).toBeNull();
  bob.value("draft").save("B");
  bob.clearOthers();
  expect([...held.values()]).toEqual(["1", "B"]);
  bob.clear();
  expect([...held.values()]).toEqual(["1"]);
});

test("storage may be blocked by the browser", () => {
  const forbidden = new Proxy({} as Storage, {
    get: () => () => {
      throw new DOMException("denied");
    },
  });
  const value = new UserStorage("alice", forbidden).value("draft");
  value.save("A");
  expect(value.load()).toBeNull();
});
