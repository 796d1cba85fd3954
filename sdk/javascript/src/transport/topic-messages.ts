/** The messages of `cache_client.pubsub.Pubsub/Subscribe`. Field numbers: cachepubsub.proto of momentohq/client-protos. */
import { decodeFields, encodeFields } from "./protobuf";

export type TopicEvent =
  /** `text` is null for an item that is not a text. */
  | { type: "item"; text: string | null; position: string }
  /** Messages up to this position are missing. */
  | { type: "gap"; position: string }
  | { type: "heartbeat" }
  /** Of a later version of the protocol. */
  | { type: "unknown" };

/** A position is the topic's page, which is new when its sequence numbers restart, and a sequence number. */
const formatPosition = (page: bigint, sequence: bigint): string => `${page}:${sequence}`;

/** Encodes a `_SubscriptionRequest` for what comes after `position`; without it, for what is published from now on. */
export function encodeSubscription(cacheName: string, topic: string, position: string | undefined): Uint8Array {
  const [page, sequence] = position?.split(":").map(BigInt) ?? [];
  return encodeFields({ 1: cacheName, 2: topic, 3: sequence === undefined ? 0n : sequence + 1n, 4: page ?? 0n });
}

/** Decodes a `_SubscriptionItem`; throws `StreamError` where it is malformed. */
export function decodeEvent(message: Uint8Array): TopicEvent {
  let event: TopicEvent = { type: "unknown" };
  for (const { number, value } of decodeFields(message)) {
    if (typeof value === "bigint") continue;
    if (number === 1) event = decodeItem(value);
    if (number === 2) event = decodeDiscontinuity(value);
    if (number === 3) event = { type: "heartbeat" };
  }
  return event;
}

function decodeItem(message: Uint8Array): TopicEvent {
  const { numbers, messages } = collect(message);
  const value = messages.get(2);
  return { type: "item", text: value ? decodeText(value) : null, position: readPosition(numbers, 4, 1) };
}

/** A `_TopicValue` is a text, which may be empty, or binary. */
function decodeText(message: Uint8Array): string | null {
  const text = collect(message).messages.get(1);
  return text === undefined ? null : new TextDecoder().decode(text);
}

function decodeDiscontinuity(message: Uint8Array): TopicEvent {
  return { type: "gap", position: readPosition(collect(message).numbers, 3, 2) };
}

/** A field that is absent has its default, zero. */
function readPosition(numbers: Map<number, bigint>, page: number, sequence: number): string {
  return formatPosition(numbers.get(page) ?? 0n, numbers.get(sequence) ?? 0n);
}

function collect(message: Uint8Array): { numbers: Map<number, bigint>; messages: Map<number, Uint8Array> } {
  const numbers = new Map<number, bigint>();
  const messages = new Map<number, Uint8Array>();
  for (const { number, value } of decodeFields(message)) {
    if (typeof value === "bigint") numbers.set(number, value);
    else messages.set(number, value);
  }
  return { numbers, messages };
}
