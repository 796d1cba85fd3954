/** The messages of `cache_client.pubsub.Pubsub/Subscribe`. Field numbers: cachepubsub.proto of momentohq/client-protos. */
import { decodeFields, encodeFields, type Fields } from "./protobuf";

export type TopicEvent =
  /** `text` is null for an item that is not a text. */
  | { type: "item"; text: string | null; position: string }
  /** Messages up to this position are missing. */
  | { type: "gap"; position: string }
  | { type: "heartbeat" }
  /** Of a later version of the protocol. */
  | { type: "unknown" };

/** Encodes a `_SubscriptionRequest` for what comes after `position`; without it, for what is published from now on. */
export function encodeSubscription(cacheName: string, topic: string, position: string | undefined): Uint8Array {
  const [page, sequence] = position?.split(":").map(BigInt) ?? [];
  return encodeFields({ 1: cacheName, 2: topic, 3: sequence === undefined ? 0n : sequence + 1n, 4: page ?? 0n });
}

/** Decodes a `_SubscriptionItem`; throws `StreamError` where it is malformed. */
export function decodeEvent(message: Uint8Array): TopicEvent {
  const { messages } = decodeFields(message);
  const [item, discontinuity] = [messages.get(1), messages.get(2)];
  if (item !== undefined) return decodeItem(decodeFields(item));
  if (discontinuity !== undefined) return { type: "gap", position: readPosition(decodeFields(discontinuity), 3, 2) };
  return { type: messages.has(3) ? "heartbeat" : "unknown" };
}

function decodeItem(item: Fields): TopicEvent {
  const value = item.messages.get(2);
  return { type: "item", text: value ? decodeText(value) : null, position: readPosition(item, 4, 1) };
}

/** A `_TopicValue` is a text, which may be empty, or binary. */
function decodeText(value: Uint8Array): string | null {
  const text = decodeFields(value).messages.get(1);
  return text === undefined ? null : new TextDecoder().decode(text);
}

/** A position is the topic's page, which is new when its sequence numbers restart, and a sequence number. */
function readPosition({ integers }: Fields, page: number, sequence: number): string {
  return `${integers.get(page) ?? 0n}:${integers.get(sequence) ?? 0n}`; // an absent field is zero
}
