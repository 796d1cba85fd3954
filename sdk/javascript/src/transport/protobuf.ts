/** The part of the protobuf wire format that the topic's messages use. https://protobuf.dev/programming-guides/encoding/ */
import { StreamError } from "../api/errors";

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
const MAX_VARINT_BYTES = 10;

/** A message's integers, and its texts and embedded messages as bytes, by their numbers. */
export interface Fields {
  integers: Map<number, bigint>;
  messages: Map<number, Uint8Array>;
}

/** Of a field that occurs twice, the last one counts. Throws `StreamError` where the message is malformed. */
export function decodeFields(message: Uint8Array): Fields {
  const fields: Fields = { integers: new Map(), messages: new Map() };
  const reader = new Reader(message);
  while (!reader.isAtEnd()) {
    const tag = reader.varint();
    const number = Number(tag >> 3n);
    const wireType = Number(tag & 7n);
    if (wireType === VARINT) fields.integers.set(number, reader.varint());
    else if (wireType === LENGTH_DELIMITED) fields.messages.set(number, reader.take(Number(reader.varint())));
    // No message of the topic has a number of fixed length.
    else if (wireType === FIXED_64) reader.take(8);
    else if (wireType === FIXED_32) reader.take(4);
    else throw new StreamError(`Momento sent a field of unknown kind: ${wireType}`);
  }
  return fields;
}

class Reader {
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  varint(): bigint {
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      const [byte = 0] = this.take(1);
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new StreamError("Momento sent a number that is too long");
  }

  take(length: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    if (taken.length < length) throw new StreamError("Momento sent an incomplete message");
    this.#at += length;
    return taken;
  }
}

/** Encodes fields by their numbers. An integer of zero is left out, as it is the default. */
export function encodeFields(fields: Record<number, string | bigint>): Uint8Array {
  return Uint8Array.from(Object.entries(fields).flatMap(([number, value]) => encodeField(BigInt(number), value)));
}

function encodeField(number: bigint, value: string | bigint): number[] {
  if (value === 0n) return [];
  if (typeof value === "bigint") return [...varint((number << 3n) | BigInt(VARINT)), ...varint(value)];
  const bytes = new TextEncoder().encode(value);
  return [...varint((number << 3n) | BigInt(LENGTH_DELIMITED)), ...varint(BigInt(bytes.length)), ...bytes];
}

function varint(value: bigint): number[] {
  const low = Number(value & 0x7fn);
  return value < 0x80n ? [low] : [low | 0x80, ...varint(value >> 7n)];
}
