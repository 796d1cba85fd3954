/**
 * gRPC-web text framing: a frame is a flag byte, a big-endian length of four bytes and the content, in base64. Frames
 * are encoded separately or together, so that padding may occur anywhere. Specification: PROTOCOL-WEB.md of grpc/grpc.
 */
import { StreamError } from "../api/errors";

/** Far above the largest message of a topic: 4 kB by default. What is longer is not buffered. */
export const MAX_FRAME_BYTES = 1_048_576;
const HEADER_BYTES = 5;
const MESSAGE = 0x00;
const TRAILERS = 0x80;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PADDING = "=".charCodeAt(0);

export interface Frame {
  /** The last frame; the others have a message. */
  isTrailers: boolean;
  content: Uint8Array;
}

/** Encodes one message, as the whole body of a request. */
export function encodeFrame(message: Uint8Array): string {
  const header = new Uint8Array(HEADER_BYTES);
  new DataView(header.buffer).setUint32(1, message.length);
  return btoa(String.fromCharCode(...header, ...message));
}

/** Reads frames from an answer that arrives in chunks of any size. It buffers one incomplete frame at most. */
export class FrameReader {
  readonly #base64 = new Base64Decoder();
  /** Filled with a header, then with a content of the length that the header names. */
  #buffer = new Uint8Array(HEADER_BYTES);
  #filled = 0;
  /** Of the frame whose content is read; undefined while a header is read. */
  #flag: number | undefined;

  /** Yields the frames that this chunk completes; throws `StreamError` where it is malformed. */
  *read(chunk: Uint8Array): Generator<Frame> {
    let bytes = this.#base64.decode(chunk);
    while (bytes.length > 0) {
      bytes = this.#fill(bytes);
      if (this.#isFull() && this.#flag === undefined) this.#startContent();
      if (this.#isFull() && this.#flag !== undefined) yield this.#takeFrame(this.#flag);
    }
    if (this.#base64.isMalformed) throw new StreamError("Momento's answer is not base64");
  }

  /** Returns what does not fit. */
  #fill(bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, this.#buffer.length - this.#filled);
    this.#buffer.set(taken, this.#filled);
    this.#filled += taken.length;
    return bytes.subarray(taken.length);
  }

  #isFull(): boolean {
    return this.#filled === this.#buffer.length;
  }

  #startContent(): void {
    const header = new DataView(this.#buffer.buffer);
    const flag = header.getUint8(0);
    const length = header.getUint32(1);
    // Compression, the other flag of the specification, was not asked for.
    if (flag !== MESSAGE && flag !== TRAILERS) throw new StreamError(`Momento sent a frame of unknown kind: ${flag}`);
    if (length > MAX_FRAME_BYTES) throw new StreamError(`Momento sent a frame of ${length} bytes`);
    this.#flag = flag;
    this.#expect(length);
  }

  #takeFrame(flag: number): Frame {
    const frame = { isTrailers: flag === TRAILERS, content: this.#buffer };
    this.#flag = undefined;
    this.#expect(HEADER_BYTES);
    return frame;
  }

  #expect(length: number): void {
    this.#buffer = new Uint8Array(length);
    this.#filled = 0;
  }
}

/** Decodes base64 group by group: four characters, of which the last two may be padding, are one to three bytes. */
class Base64Decoder {
  /** Decoding has stopped at a character that is not base64. */
  isMalformed = false;
  #bits = 0;
  #characters = 0;
  #padding = 0;

  decode(text: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(Math.ceil((this.#characters + text.length) / 4) * 3);
    let length = 0;
    for (let at = 0; at < text.length && !this.isMalformed; at += 1) {
      this.#add(text[at] as number);
      if (this.#characters < 4) continue;
      for (let shift = 16; shift >= this.#padding * 8; shift -= 8) bytes[length++] = this.#bits >> shift;
      this.#bits = this.#characters = this.#padding = 0;
    }
    return bytes.subarray(0, length);
  }

  #add(character: number): void {
    const isPadding = character === PADDING;
    const value = isPadding ? 0 : (VALUES[character] ?? -1);
    const isMisplaced = isPadding ? this.#characters < 2 : this.#padding > 0;
    this.isMalformed = value < 0 || isMisplaced;
    this.#bits = (this.#bits << 6) | value;
    this.#padding += Number(isPadding);
    this.#characters += 1;
  }
}

/** The value of each character code; -1 for those outside of the alphabet. */
const VALUES = Int8Array.from({ length: 128 }, (_, code) => ALPHABET.indexOf(String.fromCharCode(code)));
