/** The part of the protobuf wire format that the topic's messages use. https://protobuf.dev/programming-guides/encoding/ */
import { StreamError } from "../api/errors";

const VARINT = 0;
const FIXED_64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED_32 = 5;
const MAX_VARINT_BYTES = 10;

export interface Field {
  number: number;
  /** An integer, or the bytes of a text or an embedded message. */
  value: bigint | Uint8Array;
}

/** Yields a message's integers, texts and embedded messages in order; throws `StreamError` where it is malformed. */
export function* decodeFields(message: Uint8Array): Generator<Field> {
  const reader = new Reader(message);
  while (!reader.isAtEnd()) {
    const tag = reader.varint();
    const value = reader.value(Number(tag & 7n));
    if (value !== undefined) yield { number: Number(tag >> 3n), value };
  }
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

  /** Undefined for a fixed-length number, which no message of the topic has. */
  value(wireType: number): bigint | Uint8Array | undefined {
    switch (wireType) {
      case VARINT:
        return this.varint();
      case LENGTH_DELIMITED:
        return this.#take(Number(this.varint()));
      case FIXED_64:
        return void this.#take(8);
      case FIXED_32:
        return void this.#take(4);
      default:
        throw new StreamError(`Momento sent a field of unknown kind: ${wireType}`);
    }
  }

  varint(): bigint {
    let value = 0n;
    for (let index = 0; index < MAX_VARINT_BYTES; index += 1) {
      const [byte = 0] = this.#take(1);
      value |= BigInt(byte & 0x7f) << BigInt(7 * index);
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new StreamError("Momento sent a number that is too long");
  }

  #take(length: number): Uint8Array {
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
