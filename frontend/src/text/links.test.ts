import { expect, test } from "vitest";
import { splitLinks } from "./links";

const hrefs = (text: string): (string | undefined)[] => splitLinks(text).flatMap(({ href }) => href ?? []);

test("a link is a part of its own, without the punctuation after it", () => {
  expect(splitLinks("See https://example.com/a?b=1.")).toEqual([
    { text: "See " },
    { text: "https://example.com/a?b=1", href: "https://example.com/a?b=1" },
    { text: "." },
  ]);
});

test.each([
  "javascript:alert(1)",
  "data:text/html,x",
  "ftp://example.com",
  "//example.com",
  "mailto:a@b.c",
  "https://",
])("%s is no link", (text) => {
  expect(hrefs(text)).toEqual([]);
});

test("brackets around a link are not part of it, those within are", () => {
  expect(hrefs("(http://a.test/x) http://a.test/b_(c)")).toEqual(["http://a.test/x", "http://a.test/b_(c)"]);
});

test("a link with very much punctuation after it takes no long time", () => {
  const text = `https://a.test/${".".repeat(500_000)}x`;
  expect(splitLinks(text)).toHaveLength(1);
  const [link, rest] = splitLinks(`https://a.test/x${".".repeat(500_000)}`);
  expect([link?.text, rest?.text.length]).toEqual(["https://a.test/x", 500_000]);
});

test.each(["", "plain", "two\nlines", "<a href=https://x.test>x</a>"])("no text is lost: %j", (text) => {
  expect(
    splitLinks(text)
      .map((part) => part.text)
      .join(""),
  ).toBe(text);
});
