import { SignedOutError } from "./http";
import type { TokenService } from "./service";
import type { Settings } from "./options";
import type { Grant } from "./types";

/** What tokens live. This machine's clock may be behind, so that they seem to live longer. */
const MAX_LIFE_MS = 30 * 60_000;
/** Assumed where this machine's clock says that a new token is long dead: half of what tokens live. */
const UNKNOWN_LIFE_MS = MAX_LIFE_MS / 2;

/** The disposable token in use, when it is to be renewed, and the topic that must not change. */
export class Grants {
  #grant: Grant | undefined;
  #renewAt = 0;
  #topic: string | undefined;

  constructor(
    private readonly service: TokenService,
    private readonly settings: Settings,
  ) {}

  get token(): string | undefined {
    return this.#grant?.token;
  }

  /** Milliseconds until the token should be renewed; never negative. */
  get dueInMs(): number {
    return Math.max(0, this.#renewAt - this.settings.clock.now());
  }

  /** The token at hand while it is young, else another. */
  async current(signal: AbortSignal): Promise<Grant> {
    if (this.#grant !== undefined && this.dueInMs > 0) return this.#grant;
    return this.renew(signal);
  }

  async renew(signal: AbortSignal): Promise<Grant> {
    const grant = await this.service.grant(signal);
    signal.throwIfAborted();
    // The id token of another user, who signed in elsewhere in this browser: that news is not ours to tell.
    if (this.#topic !== undefined && this.#topic !== grant.topic) throw new SignedOutError("Another user signed in");
    this.#topic = grant.topic;
    this.#grant = grant;
    this.#renewAt = this.settings.clock.now() + this.#renewAfterMs(grant);
    return grant;
  }

  drop(): void {
    this.#grant = undefined;
  }

  #renewAfterMs(grant: Grant): number {
    const { clock, random, timing } = this.settings;
    const left = grant.expiresAt * 1000 - clock.now();
    const life = left > 0 ? Math.min(left, MAX_LIFE_MS) : UNKNOWN_LIFE_MS;
    // Up to a tenth earlier, so that pages opened together do not renew together.
    return Math.max(timing.minRenewMs, life * timing.renewAt * (1 - random() * 0.1));
  }
}
