import { backoffMs } from "./backoff";
import { ServiceError, SignedOutError } from "./http";
import type { Settings } from "./options";
import type { Seen } from "./seen";
import type { TokenService } from "./service";
import type { Notification, Source } from "./types";

export interface CatchUpListener {
  news(news: Notification, source: Source): void;
  /** All that was missed has been told. */
  done(): void;
  failed(error: unknown): void;
}

/**
 * Asks for what was missed. Requests that come while one is under way become one more after it; one that
 * fails is repeated until it succeeds or the client closes.
 */
export class CatchUp {
  #work: AbortController | undefined;
  #again = false;
  #attempt = 0;
  #timer: unknown;
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

  request(): void {
    this.#again = true;
    if (this.#work !== undefined) return;
    this.settings.clock.clearTimeout(this.#timer);
    this.#work = new AbortController();
    void this.#run(this.#work);
  }

  stop(): void {
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
    const { seen, settings } = this;
    const { records, servedAt } = await this.service.newsAfter(seen.cursor - settings.timing.overlapMs, signal);
    if (signal.aborted) return;
    const source = this.#sourceOf(servedAt);
    for (const news of records) this.listener.news(news, source(news));
    if (signal.aborted) return;
    seen.caughtUp(records);
    this.listener.done();
  }

  #sourceOf(servedAt: number): (news: Notification) => Source {
    const { hasPast, bareText } = this.seen;
    const bornAt = servedAt - (this.settings.clock.now() - this.#bornAt);
    return ({ time }) => (!bareText && (hasPast || time >= bornAt) ? "catch-up" : "history");
  }

  #failed(error: unknown): void {
    if (!(error instanceof SignedOutError)) this.#retry(error instanceof ServiceError ? error.retryAfterMs : undefined);
    this.listener.failed(error);
  }

  #retry(retryAfterMs: number | undefined): void {
    const { clock, random, timing } = this.settings;
    const delay = backoffMs(timing.retry, this.#attempt, random, retryAfterMs);
    this.#attempt += 1;
    this.#timer = clock.setTimeout(() => this.request(), delay);
  }
}
