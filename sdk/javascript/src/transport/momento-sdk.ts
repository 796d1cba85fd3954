/**
 * A stream over the unmodified Momento web SDK, and the only module that knows the SDK. It works around these properties:
 * - A broken connection is reopened without a callback, and what was published meanwhile is lost unless an item was
 *   received before. When reopening fails, the subscription ends without a callback.
 * - A stream that the server ends cleanly is reopened at once, hundreds of times a second.
 * The SDK reports both only to its logger, so the logger is where this module listens.
 */
import type { SubscribeCallOptions, TopicClient, TopicSubscribe } from "@gomomento/sdk-web";
import { StreamError } from "../api/errors";
import type { DisposableToken } from "../api/token-service";
import type { OpenStream, Stream, StreamListener } from "./stream";

type Sdk = typeof import("@gomomento/sdk-web");

/** Loaded when first needed: 205 kB, without which a page can already be used. */
const loadSdk = (): Promise<Sdk> => import("@gomomento/sdk-web");

export const openMomentoStream: OpenStream = (token, listener) => new MomentoStream(token, listener);

/** Loads the SDK ahead of the first stream. A failure is reported when a stream is opened. */
export async function preloadMomentoSdk(): Promise<void> {
  await loadSdk().catch(() => undefined);
}

class MomentoStream implements Stream {
  readonly opened: Promise<void>;
  #subscription: TopicSubscribe.Subscription | undefined;
  #closed = false;
  /** The SDK can resume only from a position, which an item or a discontinuity brings. */
  #hasPosition = false;
  /** The sequence page of the next item. Sequence numbers restart on each page, and only the logger is given it. */
  #page = "";
  #requests = 0;
  #restarting = false;
  readonly #token: DisposableToken;
  readonly #listener: StreamListener;

  constructor(token: DisposableToken, listener: StreamListener) {
    this.#token = token;
    this.#listener = listener;
    this.opened = this.#open();
  }

  isAlive(): boolean {
    return !this.#closed && (this.#subscription?.isSubscribed ?? false);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#subscription?.unsubscribe();
    // When called from within a restart, the SDK opens its next request just after this returns.
    queueMicrotask(() => this.#subscription?.unsubscribe());
  }

  async #open(): Promise<void> {
    const sdk = await loadSdk();
    if (this.#closed) throw new StreamError("Closed before it was opened");
    const answer = await this.#client(sdk).subscribe(this.#token.cacheName, this.#token.topic, this.#callbacks());
    if (answer instanceof sdk.TopicSubscribe.Error) throw toStreamError(answer);
    this.#subscription = answer as TopicSubscribe.Subscription;
    if (this.#closed) this.#subscription.unsubscribe();
  }

  #client(sdk: Sdk): TopicClient {
    const { token: authToken, endpointOverrides } = this.#token;
    return new sdk.TopicClient({
      credentialProvider: sdk.CredentialProvider.fromDisposableToken({
        authToken,
        ...(endpointOverrides && { endpointOverrides }),
      }),
      configuration: sdk.TopicConfigurations.Browser.latest({ getLogger: (name) => this.#logger(name) }),
    });
  }

  #callbacks(): SubscribeCallOptions {
    return {
      onItem: (item) => {
        this.#hasPosition = true;
        const position = `${this.#page}:${item.sequenceNumber()}`;
        this.#notifyListener((listener) => listener.item(String(item.value()), position));
      },
      onHeartbeat: () => this.#notifyListener((listener) => listener.heartbeat()),
      onDiscontinuity: () => {
        this.#hasPosition = true;
        this.#notifyListener((listener) => listener.gap());
      },
      // Also called for an item that is empty or of an unknown kind, after which the stream goes on.
      onError: (error, subscription) => {
        if (!subscription.isSubscribed) this.#notifyListener((listener) => listener.ended(toStreamError(error)));
      },
    };
  }

  /** The SDK passes each subscription as a logger's name: the only reference to one that is never opened. */
  #logger(name: unknown) {
    if (isSubscription(name)) this.#subscription = name;
    const ignore = (): void => undefined;
    return { error: ignore, warn: ignore, info: ignore, debug: ignore, trace: (text: string) => this.#onSdkLog(text) };
  }

  #onSdkLog(text: string): void {
    if (text.startsWith("Subscribing to topic")) {
      this.#requests += 1;
      if (this.#requests > 1 && !this.#restarting) this.#onInterrupted();
      this.#restarting = false;
    } else if (text.startsWith("Stream ended on topic") || text.includes("Will attempt to restart stream")) {
      this.#restarting = true;
      this.#onInterrupted();
    } else if (text.startsWith("Received an item")) {
      this.#page = /sequence page: (\d+)$/.exec(text)?.[1] ?? "";
    }
  }

  #onInterrupted(): void {
    this.#notifyListener((listener) => listener.interrupted(this.#hasPosition));
  }

  #notifyListener(notify: (listener: StreamListener) => void): void {
    if (!this.#closed) notify(this.#listener);
  }
}

function toStreamError(error: TopicSubscribe.Error): StreamError {
  const code = String(error.errorCode());
  return new StreamError(`Momento: ${code}`, /AUTHENTICATION|PERMISSION/.test(code));
}

function isSubscription(value: unknown): value is TopicSubscribe.Subscription {
  return typeof value === "object" && value !== null && "unsubscribe" in value && "isSubscribed" in value;
}
