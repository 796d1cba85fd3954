import { beforeEach, expect, test } from "vitest";
import { Letters, MAX_CHARACTERS, MAX_LETTERS, type Letter } from "./letters";
import { FakeShelf } from "./testing/fake-shelf";

const letter = (key: string, at = 1, data = "x"): Letter => ({ key, data, at });
const keys = (letters: Letters): string[] => letters.all().map(({ key }) => key);

let shelf: FakeShelf;
let letters: Letters;

beforeEach(() => {
  shelf = new FakeShelf();
  letters = new Letters(shelf);
});

test("the oldest comes first, from whichever tab", () => {
  letters.add(letter("b", 2));
  new Letters(shelf).add(letter("a", 1));
  expect(keys(letters)).toEqual(["a", "b"]);
});

test("a tab writes nothing but what it adds or removes", () => {
  letters.add(letter("a"));
  letters.add(letter("b"));
  letters.remove(letter("a"));
  expect(shelf.written).toEqual(["a", "b", "a"]);
});

test("what storage does not take is kept for as long as the page is open", () => {
  letters.add(letter("a", 1));
  shelf.full = true;
  expect([letters.add(letter("b", 2)), keys(letters), letters.fleeting]).toEqual([true, ["a", "b"], true]);
  expect(keys(new Letters(shelf))).toEqual(["a"]);
  letters.remove(letter("b"));
  expect([keys(letters), letters.fleeting]).toEqual([["a"], false]);
});

test("they are bounded in number", () => {
  for (let id = 0; id < MAX_LETTERS; id += 1) expect(letters.add(letter(String(id)))).toBe(true);
  expect(letters.add(letter("one more"))).toBe(false);
});

test("they are bounded in length, below what a browser stores", () => {
  const long = "x".repeat(MAX_CHARACTERS / 4 - 100);
  for (let id = 0; id < 4; id += 1) expect(letters.add(letter(String(id), id, long))).toBe(true);
  expect(letters.add(letter("one more", 5, "x".repeat(500)))).toBe(false);
});

test.each(["{", "null", '"text"', '{"key":"a"}'])("a damaged one, %s, is passed over", (value) => {
  shelf.kept.set("a", value);
  letters.add(letter("b"));
  expect(keys(letters)).toEqual(["b"]);
});
