import { describe, expect, test } from "vitest";
import { StreamError } from "../api/errors";
import { eventsOf, GOLDEN_ANSWERS, GOLDEN_REQUESTS } from "../testing/golden-frames";
import { seededRandom } from "../testing/seeded-random";
import { encodeFrame } from "./grpc-web-frames";
import { decodeEvent, encodeSubscription } from "./topic-messages";

const HEADER_BYTES = 5;

function messagesOf(frames: string[]): Uint8Array[] {
  return frames.map((frame) => new Uint8Array(Buffer.from(frame, "base64")).subarray(HEADER_BYTES));
}

describe("events", () => {
  test.each(GOLDEN_ANSWERS)("of $name are decoded", (answer) => {
    const messages = messagesOf(answer.frames).slice(0, answer.events.length);
    expect(messages.map(decodeEvent)).toEqual(eventsOf(answer));
  });
});

describe("a subscription", () => {
  test.each(GOLDEN_REQUESTS)("$name is encoded", ({ cacheName, topic, position, body }) => {
    expect(encodeFrame(encodeSubscription(cacheName, topic, position ?? undefined))).toBe(body);
  });
});

describe("a malformed message", () => {
  test.each([
    ["with a text that is too short", [0x0a, 0x05, 0x41], /incomplete/],
    ["that ends within a number", [0x08, 0xff], /incomplete/],
    ["with a number that never ends", [0x08, ...Array<number>(20).fill(0xff)], /too long/],
    ["with a length above every memory", [0x0a, ...Array<number>(9).fill(0xff), 0x01], /incomplete/],
    ["with a group, which protobuf no longer has", [0x0b, 0x0c], /unknown kind: 3/],
    ["within an item", [0x0a, 0x02, 0x12, 0x7f], /incomplete/],
  ])("%s is a stream's error", (_, bytes, error) => {
    expect(() => decodeEvent(Uint8Array.from(bytes))).toThrow(error);
    expect(() => decodeEvent(Uint8Array.from(bytes))).toThrow(StreamError);
  });

  test("with numbers where messages are expected has no event", () => {
    expect(decodeEvent(Uint8Array.from([0x08, 0x01, 0x10, 0x01, 0x18, 0x01]))).toEqual({ type: "unknown" });
  });

  test("of any bytes is an event or a stream's error", () => {
    for (let seed = 0; seed < 5_000; seed += 1) {
      const random = seededRandom(seed);
      const [message = new Uint8Array()] = messagesOf(GOLDEN_ANSWERS[1]?.frames.slice(1, 2) ?? []);
      const bytes = message.map((byte) => (random() < 0.2 ? random() * 256 : byte));
      try {
        expect(decodeEvent(bytes.subarray(0, random() * (bytes.length + 1)))).toHaveProperty("type");
      } catch (error) {
        expect(error, `seed ${seed}`).toBeInstanceOf(StreamError);
      }
    }
  });
});
