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

/** Four characters of base64, or the first of them. */
const GROUP = /^[A-Za-z\d+/]*={0,2}$/;

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
  /** The characters of an incomplete group. */
  #group = "";
  /** Of the incomplete frame, one per character. */
  #bytes = "";
  /** How many bytes are needed to go on: a header, then the whole frame. */
  #needed = HEADER_BYTES;

  /** Yields the frames that this chunk completes; throws `StreamError` where it is malformed. */
  *read(chunk: Uint8Array): Generator<Frame> {
    const groups = (this.#group + new TextDecoder().decode(chunk)).match(/[^]{1,4}/g) ?? [];
    this.#group = "";
    for (const group of groups) {
      if (!GROUP.test(group)) throw new StreamError("Momento's answer is not base64");
      if (group.length < 4) this.#group = group;
      else this.#bytes += atob(group);
      const frame = this.#takeFrame();
      if (frame !== null) yield frame;
    }
  }

  /** Null while it is incomplete. */
  #takeFrame(): Frame | null {
    if (this.#bytes.length < this.#needed) return null;
    const header = new DataView(toBytes(this.#bytes.slice(0, HEADER_BYTES)).buffer);
    const flag = header.getUint8(0);
    const length = header.getUint32(1);
    // Compression, the other flag of the specification, was not asked for.
    if (flag !== MESSAGE && flag !== TRAILERS) throw new StreamError(`Momento sent a frame of unknown kind: ${flag}`);
    if (length > MAX_FRAME_BYTES) throw new StreamError(`Momento sent a frame of ${length} bytes`);
    this.#needed = HEADER_BYTES + length;
    if (this.#bytes.length < this.#needed) return null;
    const content = toBytes(this.#bytes.slice(HEADER_BYTES, this.#needed));
    this.#bytes = this.#bytes.slice(this.#needed);
    this.#needed = HEADER_BYTES;
    return { isTrailers: flag === TRAILERS, content };
  }
}

function toBytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
