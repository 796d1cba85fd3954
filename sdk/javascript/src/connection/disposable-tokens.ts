import { SignedOutError } from "../api/errors";
import type { DisposableToken, TokenService } from "../api/token-service";
import type { Settings } from "./options";

/** The services' token lifetime. A clock that is behind makes it look longer. */
const MAX_LIFETIME_MS = 30 * 60_000;
/** Assumed where a new token looks expired, so that this machine's clock must be ahead. */
const UNKNOWN_LIFETIME_MS = MAX_LIFETIME_MS / 2;

/** The disposable token in use, when it is to be renewed, and the topic, which must not change. */
export class DisposableTokens {
  #current: DisposableToken | undefined;
  #renewAt = 0;
  #topic: string | undefined;
  readonly #service: TokenService;
  readonly #settings: Settings;

  constructor(service: TokenService, settings: Settings) {
    this.#service = service;
    this.#settings = settings;
  }

  get token(): string | undefined {
    return this.#current?.token;
  }

  /** Milliseconds until the token should be renewed; never negative. */
  get renewInMs(): number {
    return Math.max(0, this.#renewAt - this.#settings.clock.now());
  }

  /** The current token, or a new one where it is due for renewal. Either way the user must still be signed in. */
  async get(signal: AbortSignal): Promise<DisposableToken> {
    const current = this.#current;
    if (current === undefined || this.renewInMs === 0) return this.renew(signal);
    await this.#service.checkSignedIn(signal).catch((error: unknown) => {
      if (error instanceof SignedOutError) throw error; // otherwise the current token will do
    });
    return current;
  }

  async renew(signal: AbortSignal): Promise<DisposableToken> {
    const token = await this.#service.fetchToken(signal);
    signal.throwIfAborted();
    // Another user has signed in meanwhile in this browser: their notifications must not be shown here.
    if (this.#topic !== undefined && this.#topic !== token.topic) throw new SignedOutError("Another user signed in");
    this.#topic = token.topic;
    this.#current = token;
    this.#renewAt = this.#settings.clock.now() + this.#renewAfterMs(token);
    return token;
  }

  drop(): void {
    this.#current = undefined;
  }

  #renewAfterMs(token: DisposableToken): number {
    const { clock, random, timing } = this.#settings;
    const remaining = token.expiresAt * 1000 - clock.now();
    const lifetime = remaining > 0 ? Math.min(remaining, MAX_LIFETIME_MS) : UNKNOWN_LIFETIME_MS;
    // Up to a tenth earlier, so that pages opened together do not renew together.
    return Math.max(timing.minRenewMs, lifetime * timing.renewAt * (1 - random() * 0.1));
  }
}
