/** A stream over `fetch`: the gRPC-web call that the Momento web SDK makes, without the SDK. */
import { StreamError } from "../api/errors";
import type { DisposableToken } from "../api/token-service";
import { parseTrailers, refusalInHeaders, toStreamError } from "./grpc-status";
import { encodeFrame, FrameReader } from "./grpc-web-frames";
import type { OpenStream, Stream, StreamListener } from "./stream";
import { decodeEvent, encodeSubscription, type TopicEvent } from "./topic-messages";

const CONTENT_TYPE = "application/grpc-web-text";

/** No answer was received: there is no network, or the browser blocks the request (CORS). */
export class UnreachableError extends StreamError {
  override name = "UnreachableError";
}

export const openFetchStream: OpenStream = (token, listener, position) => new FetchStream(token, listener, position);

class FetchStream implements Stream {
  readonly opened: Promise<void>;
  position: string | undefined;
  #isOpen = false;
  #settle!: { resolve: () => void; reject: (error: StreamError) => void };
  readonly #work = new AbortController();
  readonly #listener: StreamListener;

  constructor(token: DisposableToken, listener: StreamListener, position: string | undefined) {
    this.position = position;
    this.#listener = listener;
    this.opened = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    void this.#run(token);
  }

  isAlive(): boolean {
    return !this.#work.signal.aborted;
  }

  close(): void {
    this.#work.abort();
    this.#settle.reject(new StreamError("Closed before it was opened"));
  }

  async #run(token: DisposableToken): Promise<void> {
    const error = await this.#receive(token).catch(lostConnection);
    const wasClosed = !this.isAlive();
    this.#work.abort();
    this.#settle.reject(error);
    if (this.#isOpen && !wasClosed) this.#listener.ended(error);
  }

  /** Resolves to the error that the stream ended with, or rejects. */
  async #receive(token: DisposableToken): Promise<StreamError> {
    const frames = new FrameReader();
    const body = (await this.#subscribe(token)).getReader();
    for (let next = body.read(); ;) {
      const { done, value } = await next;
      if (done) return new StreamError("The connection to Momento broke");
      // Before the chunk is processed: some browsers hold a chunk back until it is asked for (WebKit/WebKit#72494).
      next = body.read();
      next.catch(() => undefined);
      for (const { isTrailers, content } of frames.read(value)) {
        if (isTrailers) return toStreamError(parseTrailers(content));
        this.#onEvent(decodeEvent(content));
      }
    }
  }

  async #subscribe(token: DisposableToken): Promise<ReadableStream<Uint8Array>> {
    const request: RequestInit = {
      method: "POST",
      headers: {
        authorization: credentials(token).api_key,
        "content-type": CONTENT_TYPE,
        // Servers choose between the text and the binary form by this header.
        accept: CONTENT_TYPE,
        "x-grpc-web": "1",
      },
      body: encodeFrame(encodeSubscription(token.cacheName, token.topic, this.position)),
      cache: "no-store",
      signal: this.#work.signal,
    };
    const answer = await fetch(subscribeUrl(token), request).catch((error: unknown) => {
      throw new UnreachableError(`Momento cannot be reached: ${String(error)}`);
    });
    const refusal = refusalInHeaders(answer);
    if (refusal !== null) throw refusal;
    const type = answer.headers.get("content-type") ?? "";
    if (answer.body === null || !type.startsWith(CONTENT_TYPE)) throw new StreamError(`Not Momento's answer: ${type}`);
    return answer.body;
  }

  #onEvent(event: TopicEvent): void {
    if (!this.isAlive()) return;
    if (!this.#isOpen) this.#settle.resolve();
    this.#isOpen = true;
    if ("position" in event) this.position = event.position;
    if (event.type === "heartbeat") this.#listener.heartbeat();
    if (event.type === "gap") this.#listener.gap();
    if (event.type === "item" && event.text !== null) this.#listener.item(event.text, event.position);
  }
}

/** Momento's HTTP names are those of gRPC after `web.`, as in its web SDK. */
function subscribeUrl(token: DisposableToken): string {
  const endpoint = token.endpointOverrides?.cacheEndpoint ?? `https://web.${credentials(token).endpoint}`;
  return `${endpoint}/cache_client.pubsub.Pubsub/Subscribe`;
}

/** A disposable token is base64 of JSON. */
function credentials({ token }: DisposableToken): { endpoint: string; api_key: string } {
  try {
    const { endpoint, api_key } = JSON.parse(atob(token)) as Record<string, unknown>;
    if (typeof endpoint === "string" && typeof api_key === "string") return { endpoint, api_key };
  } catch {
    // As below.
  }
  throw new StreamError("The disposable token is malformed", true);
}

function lostConnection(error: unknown): StreamError {
  return error instanceof StreamError ? error : new StreamError(`The connection to Momento broke: ${String(error)}`);
}
