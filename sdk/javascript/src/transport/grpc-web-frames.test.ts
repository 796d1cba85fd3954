import { describe, expect, test } from "vitest";
import { GOLDEN_ANSWERS } from "../testing/golden-frames";
import { seededRandom } from "../testing/seeded-random";
import { encodeFrame, FrameReader, MAX_FRAME_BYTES, type Frame } from "./grpc-web-frames";

const TRIES = 100;

/** What a reader yields for these chunks: the frames, and the error that ends them. */
function read(chunks: Uint8Array[]): (Frame | string)[] {
  const reader = new FrameReader();
  const found: (Frame | string)[] = [];
  try {
    for (const chunk of chunks) for (const frame of reader.read(chunk)) found.push(frame);
  } catch (error) {
    found.push(String(error));
  }
  return found;
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const bytesOf = (base64: string): number[] => [...Buffer.from(base64, "base64")];
const base64Of = (bytes: number[]): string => Buffer.from(bytes).toString("base64");

function split(text: Uint8Array, random: () => number, longest: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < text.length;) {
    const end = at + Math.floor(random() * (longest + 1)); // empty chunks too
    chunks.push(text.subarray(at, end));
    at = end;
  }
  return chunks;
}

/** Encodes the bytes in parts of any length, each padded. */
function encodeInParts(bytes: number[], random: () => number): string {
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + Math.floor(random() * bytes.length);
    text += base64Of(bytes.slice(at, end));
    at = end;
  }
  return text;
}

describe("frames", () => {
  test.each(GOLDEN_ANSWERS)("are the same however $name is encoded and split", ({ frames, trailers }) => {
    const whole = read(frames.map(ascii));
    expect(whole).toHaveLength(frames.length);
    expect(whole.map((frame) => (frame as Frame).isTrailers).lastIndexOf(true)).toBe(trailers ? frames.length - 1 : -1);
    for (let seed = 0; seed < TRIES; seed += 1) {
      const random = seededRandom(seed);
      const text = encodeInParts(frames.flatMap(bytesOf), random);
      expect(read(split(ascii(text), random, seed % 2 ? 3 : 50)), `seed ${seed}`).toEqual(whole);
    }
  });

  test.each([0, 1, 2, 3, 300, 70_000, MAX_FRAME_BYTES])("of %i bytes are read", (length) => {
    const content = Buffer.alloc(length, "content");
    const header = [0, length >> 24, length >> 16, length >> 8, length];
    const [frame, ...more] = read([ascii(base64Of([...header, ...content]))]);
    expect([Buffer.from((frame as Frame).content).equals(content), more]).toEqual([true, []]);
  });

  test("are not confused with the rest of the chunk, which may be reused", () => {
    const [first] = read([ascii(encodeFrame(ascii("first"))), ascii(encodeFrame(ascii("second")))]);
    expect((first as Frame).content).toEqual(ascii("first"));
  });
});

describe("a malformed answer", () => {
  test.each([
    ["with a character outside of base64", "AAAA AAA", /not base64/],
    ["that is not ASCII", "AAAAä", /not base64/],
    ["with padding in the wrong place", "A===", /not base64/],
    ["with characters after padding in a group", "AA=A", /not base64/],
    ["with a compressed frame", base64Of([1, 0, 0, 0, 0]), /unknown kind: 1/],
    ["with an unknown frame", base64Of([0x7f, 0, 0, 0, 0]), /unknown kind: 127/],
    ["with a frame of 4 GB", base64Of([0, 255, 255, 255, 255]), /4294967295 bytes/],
    ["of another protocol", "<!doctype html>", /not base64/],
  ])("%s is an error after the same frames, however it is split", (_, malformed, error) => {
    const text = ascii(encodeFrame(ascii("before")) + malformed);
    const whole = read([text]);
    expect(whole).toEqual([{ isTrailers: false, content: ascii("before") }, expect.stringMatching(error)]);
    for (let seed = 0; seed < TRIES; seed += 1)
      expect(read(split(text, seededRandom(seed), 7)), `seed ${seed}`).toEqual(whole);
  });
});
