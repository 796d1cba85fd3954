import golden from "./golden-frames.json";
import type { TopicEvent } from "../transport/topic-messages";

/** Answers and requests as Momento's own messages encode them; a Python test holds the file to those messages. */
export interface GoldenAnswer {
  name: string;
  /** `unknownFields` are of a later version of the messages. */
  events: (TopicEvent & { unknownFields?: string })[];
  trailers: Record<string, string> | null;
  /** Base64, one text a frame. */
  frames: string[];
}

export interface GoldenRequest {
  name: string;
  cacheName: string;
  topic: string;
  position: string | null;
  /** Base64. */
  body: string;
}

export const GOLDEN_ANSWERS = golden.answers as GoldenAnswer[];
export const GOLDEN_REQUESTS = golden.requests as GoldenRequest[];

export function goldenAnswer(name: string): GoldenAnswer {
  const found = GOLDEN_ANSWERS.find((answer) => answer.name === name);
  if (found === undefined) throw new Error(`No golden answer "${name}"`);
  return found;
}

export function eventsOf({ events }: GoldenAnswer): TopicEvent[] {
  return events.map((event) => ({ ...event, unknownFields: undefined }));
}
