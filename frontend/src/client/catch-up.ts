import { backoffMs } from "./backoff";
import { ServiceError, SignedOutError } from "./http";
import type { Settings } from "./options";
import type { Seen } from "./seen";
import type { Records, TokenService } from "./service";
import type { Notification, Source } from "./types";

/** By how much the services' clocks may differ and still count as right; `Date` is to the second, besides. */
const CLOCK_TOLERANCE_MS = 5_000;

export interface CatchUpListener {
  news(news: Notification, source: Source): void;
  /** All that was missed has been told. */
  done(): void;
  failed(error: unknown): void;
}

/**
 * Asks for what was missed. Requests that come while one is under way become one more after it; one that
 * fails is repeated until it succeeds or the client closes. A pause that the service asks for is kept,
 * whatever else happens.
 */
export class CatchUp {
  #work: AbortController | undefined;
  #again = false;
  #attempt = 0;
  /** The next retry, or the end of a pause. */
  #timer: unknown;
  #recheckTimer: unknown;
  /** Rechecks that were made, or are not needed. */
  #rechecks = Infinity;
  /** By this machine's clock: not asked before, as the service said. */
  #notBefore = 0;
  /** By this machine's clock. */
  readonly #bornAt: number;

  constructor(
    private readonly service: TokenService,
    private readonly seen: Seen,
    private readonly settings: Settings,
    private readonly listener: CatchUpListener,
  ) {
    this.#bornAt = settings.clock.now();
  }

  /** `recheck`: something may have been published unseen, and not be stored yet. */
  request(recheck: boolean): void {
    if (recheck) this.#rechecks = 0;
    this.#again = true;
    if (this.#work !== undefined) return;
    const pause = this.#notBefore - this.settings.clock.now();
    if (pause > 0) return this.#later(pause);
    this.settings.clock.clearTimeout(this.#timer);
    this.#work = new AbortController();
    void this.#run(this.#work);
  }

  /** The stream is gone; the next one that opens brings rechecks of its own. */
  dropRecheck(): void {
    this.settings.clock.clearTimeout(this.#recheckTimer);
    this.#rechecks = Infinity;
  }

  stop(): void {
    this.dropRecheck();
    this.settings.clock.clearTimeout(this.#timer);
    this.#work?.abort();
    this.#work = undefined;
    this.#again = false;
    this.#attempt = 0;
  }

  async #run(work: AbortController): Promise<void> {
    try {
      while (this.#again && !work.signal.aborted) {
        this.#again = false;
        await this.#once(work.signal);
      }
      this.#attempt = 0;
    } catch (error) {
      if (!work.signal.aborted) this.#failed(error);
    } finally {
      if (this.#work === work) this.#work = undefined;
    }
  }

  async #once(signal: AbortSignal): Promise<void> {
    const answer = await this.#ask(signal);
    if (signal.aborted) return;
    if (answer !== null) this.#tell(answer, signal);
    if (signal.aborted) return;
    this.seen.caughtUp(answer?.cursor ?? null);
    if (answer !== null) this.#recheckLater();
    this.listener.done();
  }

  /** Where the service does not take its cursor (any more), everything is asked for, once. */
  async #ask(signal: AbortSignal): Promise<Records | null> {
    const { cursor } = this.seen;
    try {
      return await this.service.newsAfter(cursor, signal);
    } catch (error) {
      if (cursor === null || !(error instanceof ServiceError) || error.status !== 400) throw error;
      this.seen.dropCursor();
      return this.service.newsAfter(null, signal);
    }
  }

  #tell({ records, servedAt }: Records, signal: AbortSignal): void {
    const source = this.#sourceOf(servedAt);
    for (const news of records) if (!signal.aborted) this.listener.news(news, source(news));
  }

  /**
   * In a browser with a past, what is not known by its key is new. In one without, only the time can tell, and only
   * by the services' clocks, since this machine's may be wrong; a time that is still to come is of a wrong clock.
   */
  #sourceOf(servedAt: number): (news: Notification) => Source {
    const { clock, isAwaited } = this.settings;
    const { hasPast, bareText } = this.seen;
    const bornAt = servedAt - (clock.now() - this.#bornAt);
    const isSince = (time: number): boolean => time >= bornAt && time < servedAt + CLOCK_TOLERANCE_MS;
    return ({ taskId, time }) =>
      !bareText && (hasPast || isAwaited(taskId) || isSince(time)) ? "catch-up" : "history";
  }

  #recheckLater(): void {
    const { clock, random, timing } = this.settings;
    const ms = timing.recheckMs[this.#rechecks];
    clock.clearTimeout(this.#recheckTimer);
    if (ms === undefined) return;
    this.#rechecks += 1;
    const spread = 1 + random() / 2; // pages that lost their connection together do not ask together
    this.#recheckTimer = clock.setTimeout(() => this.request(false), ms * spread);
  }

  #failed(error: unknown): void {
    this.dropRecheck();
    this.#rechecks = 0;
    if (!(error instanceof SignedOutError)) this.#retry(error instanceof ServiceError ? error.retryAfterMs : undefined);
    this.listener.failed(error);
  }

  #retry(retryAfterMs = 0): void {
    const { clock, random, timing } = this.settings;
    const delay = backoffMs(timing.retry, this.#attempt, random, retryAfterMs);
    this.#attempt += 1;
    if (retryAfterMs > 0) this.#notBefore = clock.now() + delay;
    this.#later(delay);
  }

  #later(ms: number): void {
    const { clock } = this.settings;
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => {
      this.#notBefore = 0; // this machine's clock may have been set back meanwhile
      this.request(false);
    }, ms);
  }
}
