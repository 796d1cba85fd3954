/**
 * A stream over the unmodified Momento web SDK. What the SDK keeps to itself matters here: it opens a broken
 * connection again without a word, loses what was published meanwhile unless it has seen an item before, dies
 * silently when that fails, and opens a stream that the server ends hundreds of times a second. Its logger,
 * which any caller may supply, is where it says so.
 */
import type { SubscribeCallOptions, TopicClient, TopicSubscribe } from "@gomomento/sdk-web";
import { StreamError, type OpenStream, type Stream, type StreamListener } from "./stream";
import type { Grant } from "./types";

type Sdk = typeof import("@gomomento/sdk-web");

/** Loaded when first needed: 205 kB that a page can be usable without. */
const loadSdk = (): Promise<Sdk> => import("@gomomento/sdk-web");

export const openMomentoStream: OpenStream = (grant, listener) => new MomentoStream(grant, listener);

class MomentoStream implements Stream {
  readonly opened: Promise<void>;
  #subscription: TopicSubscribe.Subscription | undefined;
  #closed = false;
  /** The SDK resumes only from a position that an item or a discontinuity gave it. */
  #hasPosition = false;
  /** Of the item that is about to be told. Numbers start anew on each page, and only the logger is told which. */
  #page = "";
  #requests = 0;
  #restarting = false;

  constructor(
    private readonly grant: Grant,
    private readonly listener: StreamListener,
  ) {
    this.opened = this.#open();
  }

  alive(): boolean {
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
    const answer = await this.#client(sdk).subscribe(this.grant.cacheName, this.grant.topic, this.#callbacks());
    if (answer instanceof sdk.TopicSubscribe.Error) throw this.#error(answer);
    this.#subscription = answer as TopicSubscribe.Subscription;
    if (this.#closed) this.#subscription.unsubscribe();
  }

  #client(sdk: Sdk): TopicClient {
    const { token: authToken, endpointOverrides } = this.grant;
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
        this.#tell((listener) => listener.item(String(item.value()), position));
      },
      onHeartbeat: () => this.#tell((listener) => listener.heartbeat()),
      onDiscontinuity: () => {
        this.#hasPosition = true;
        this.#tell((listener) => listener.gap());
      },
      // Also called for an item that is empty or of an unknown kind, which ends nothing.
      onError: (error, subscription) => {
        if (!subscription.isSubscribed) this.#tell((listener) => listener.ended(this.#error(error)));
      },
    };
  }

  /** The SDK asks for a logger by name, and for each subscription by itself: the only hold on one that never opens. */
  #logger(name: unknown) {
    if (isSubscription(name)) this.#subscription = name;
    const ignore = (): void => undefined;
    return { error: ignore, warn: ignore, info: ignore, debug: ignore, trace: (text: string) => this.#overhear(text) };
  }

  #overhear(text: string): void {
    if (text.startsWith("Subscribing to topic")) {
      this.#requests += 1;
      if (this.#requests > 1 && !this.#restarting) this.#interrupted();
      this.#restarting = false;
    } else if (text.startsWith("Stream ended on topic") || text.includes("Will attempt to restart stream")) {
      this.#restarting = true;
      this.#interrupted();
    } else if (text.startsWith("Received an item")) {
      this.#page = /sequence page: (\d+)$/.exec(text)?.[1] ?? "";
    }
  }

  #interrupted(): void {
    this.#tell((listener) => listener.interrupted(this.#hasPosition));
  }

  #tell(message: (listener: StreamListener) => void): void {
    if (!this.#closed) message(this.listener);
  }

  #error(error: TopicSubscribe.Error): StreamError {
    const code = String(error.errorCode());
    return new StreamError(`Momento: ${code}`, /AUTHENTICATION|PERMISSION/.test(code));
  }
}

function isSubscription(value: unknown): value is TopicSubscribe.Subscription {
  return typeof value === "object" && value !== null && "unsubscribe" in value && "isSubscribed" in value;
}
