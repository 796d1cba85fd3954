import { beforeEach, expect, test } from "vitest";
import { Letters, MAX_CHARACTERS, MAX_LETTERS, MAX_TRIES, triesOf, type Letter } from "./letters";
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

test("tries are written down, and enough of them step a letter over", () => {
  letters.add(letter("a"));
  letters.add(letter("b", 2));
  letters.update({ ...letter("a"), tries: MAX_TRIES });
  letters.update({ ...letter("b", 2), tries: MAX_TRIES - 1 });
  const reloaded = new Letters(shelf);
  expect(reloaded.waiting().map(({ key }) => key)).toEqual(["b"]);
  expect(reloaded.unsent().map(({ key }) => key)).toEqual(["a"]);
  expect(keys(reloaded)).toEqual(["a", "b"]);
});

test("tries that storage does not take are held, and the letter still outlives the page", () => {
  letters.add(letter("a"));
  shelf.full = true;
  letters.update({ ...letter("a"), tries: MAX_TRIES });
  expect([letters.unsent().length, letters.all().length, letters.fleeting]).toEqual([1, 1, false]);
  shelf.full = false;
  letters.update({ ...letter("a"), tries: 0 });
  expect([letters.waiting().length, new Letters(shelf).waiting().length]).toEqual([1, 1]);
});

test("a letter that another tab has removed meanwhile is not written again", () => {
  letters.add(letter("a"));
  new Letters(shelf).remove({ key: "a" });
  letters.update({ ...letter("a"), tries: 1 });
  expect([keys(letters), shelf.names()]).toEqual([[], []]);
});

test.each([undefined, null, "5", Number.NaN])("tries that are damaged, %j, do not step a letter over", (tries) => {
  shelf.kept.set("a", JSON.stringify({ ...letter("a"), tries }));
  expect(letters.waiting().map(triesOf)).toEqual([0]);
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
