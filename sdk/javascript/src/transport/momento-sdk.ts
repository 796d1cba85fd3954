/**
 * A stream over the unmodified Momento web SDK, and the only module that imports the SDK, so it is imported only when
 * needed. It works around these properties:
 * - A broken connection is reopened without a callback, and what was published meanwhile is lost unless an item was
 *   received before. When reopening fails, the subscription ends without a callback.
 * - A stream that the server ends cleanly is reopened at once, hundreds of times a second.
 * - It has no option that says where to resume.
 * - The browser keeps all text of an open stream.
 * The SDK reports the first two only to its logger, so the logger is where this module listens. It then closes the
 * subscription, so that the SDK reopens nothing.
 */
import {
  CredentialProvider,
  TopicClient,
  TopicConfigurations,
  TopicSubscribe,
  type SubscribeCallOptions,
} from "@gomomento/sdk-web";
import { StreamError } from "../api/errors";
import type { DisposableToken } from "../api/token-service";
import type { Stream, StreamListener } from "./stream";

const MAX_CHARACTERS = 4_000_000;

export class MomentoStream implements Stream {
  readonly opened: Promise<void>;
  #rejectOpened!: (error: StreamError) => void;
  #subscription: TopicSubscribe.Subscription | undefined;
  #closed = false;
  /** The sequence page of the next item. Sequence numbers restart on each page, and only the logger is given it. */
  #page = "";
  #characters = 0;
  readonly #token: DisposableToken;
  readonly #listener: StreamListener;

  constructor(token: DisposableToken, listener: StreamListener) {
    this.#token = token;
    this.#listener = listener;
    this.opened = new Promise((resolve, reject) => {
      this.#rejectOpened = reject;
      this.#open().then(resolve, reject);
    });
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
    const answer = await this.#client().subscribe(this.#token.cacheName, this.#token.topic, this.#callbacks());
    if (answer instanceof TopicSubscribe.Error) throw toStreamError(answer);
    this.#subscription = answer as TopicSubscribe.Subscription;
    if (this.#closed) this.#subscription.unsubscribe();
  }

  #client(): TopicClient {
    const { token: authToken, endpointOverrides } = this.#token;
    return new TopicClient({
      credentialProvider: CredentialProvider.fromDisposableToken({
        authToken,
        ...(endpointOverrides && { endpointOverrides }),
      }),
      configuration: TopicConfigurations.Browser.latest({ getLogger: (name) => this.#logger(name) }),
    });
  }

  #callbacks(): SubscribeCallOptions {
    return {
      onItem: (item) => this.#onItem(String(item.value()), `${this.#page}:${item.sequenceNumber()}`),
      onHeartbeat: () => this.#notifyListener((listener) => listener.heartbeat()),
      onDiscontinuity: () => this.#notifyListener((listener) => listener.gap()),
      // Also called for an item that is empty or of an unknown kind, after which the stream goes on.
      onError: (error, subscription) => {
        if (!subscription.isSubscribed) this.#end(toStreamError(error));
      },
    };
  }

  #onItem(text: string, position: string): void {
    this.#notifyListener((listener) => listener.item(text, position));
    this.#characters += text.length;
    if (this.#characters > MAX_CHARACTERS) this.#notifyListener((listener) => listener.oversized());
  }

  /** The SDK passes each subscription as a logger's name: the only reference to one that is never opened. */
  #logger(name: unknown) {
    if (isSubscription(name)) this.#subscription = name;
    const ignore = (): void => undefined;
    return { error: ignore, warn: ignore, info: ignore, debug: ignore, trace: (text: string) => this.#onSdkLog(text) };
  }

  #onSdkLog(text: string): void {
    if (text.startsWith("Stream ended on topic")) this.#end(new StreamError("Momento ended the stream"));
    if (text.includes("Will attempt to restart stream")) this.#end(new StreamError("The connection to Momento broke"));
    if (text.startsWith("Received an item")) this.#page = /sequence page: (\d+)$/.exec(text)?.[1] ?? "";
  }

  #end(error: StreamError): void {
    this.#rejectOpened(error);
    this.#notifyListener((listener) => listener.ended(error));
    this.close();
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
