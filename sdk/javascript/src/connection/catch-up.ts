import { retryAfterOf, SignedOutError, statusOf } from "../api/errors";
import type { HistoryPage, TokenService } from "../api/token-service";
import { backoffMs } from "../internal/backoff";
import type { Notification, Source } from "../notifications/notification";
import type { SeenNotifications } from "../notifications/seen-notifications";
import type { Settings } from "./options";

/** How far the services' clocks may differ. The Date header has a resolution of one second besides. */
const CLOCK_TOLERANCE_MS = 5_000;

export interface CatchUpListener {
  notification(notification: Notification, source: Source): void;
  /** Until when the user has read the notifications, in epoch milliseconds. */
  readUntil(readUntil: number): void;
  /** Everything that was missed has been emitted. */
  done(): void;
  failed(error: unknown): void;
}

/**
 * Fetches what was missed from the notification history. Calls during a request lead to one more request after it. A
 * request that fails is retried until it succeeds or the client stops; a Retry-After is always honoured.
 */
export class CatchUp {
  #work: AbortController | undefined;
  #again = false;
  #attempt = 0;
  /** The next retry, or the end of a pause. */
  #timer: unknown;
  #recheckTimer: unknown;
  /** How many rechecks were made; Infinity where none is needed. */
  #rechecks = Infinity;
  /** No request before this time (Retry-After), by this machine's clock. */
  #notBefore = 0;
  /** By this machine's clock. */
  readonly #createdAt: number;
  readonly #service: TokenService;
  readonly #seen: SeenNotifications;
  readonly #settings: Settings;
  readonly #listener: CatchUpListener;

  constructor(service: TokenService, seen: SeenNotifications, settings: Settings, listener: CatchUpListener) {
    this.#service = service;
    this.#seen = seen;
    this.#settings = settings;
    this.#listener = listener;
    this.#createdAt = settings.clock.now();
  }

  /** `recheck`: something may have been published meanwhile and not be stored yet, so ask again a few times. */
  request(recheck: boolean): void {
    if (recheck) this.#rechecks = 0;
    this.#again = true;
    if (this.#work !== undefined) return;
    const pauseMs = this.#notBefore - this.#settings.clock.now();
    if (pauseMs > 0) return this.#schedule(pauseMs);
    this.#settings.clock.clearTimeout(this.#timer);
    this.#work = new AbortController();
    void this.#run(this.#work);
  }

  /** The stream is lost; the next one that opens starts rechecks of its own. */
  dropRecheck(): void {
    this.#settings.clock.clearTimeout(this.#recheckTimer);
    this.#rechecks = Infinity;
  }

  stop(): void {
    this.dropRecheck();
    this.#settings.clock.clearTimeout(this.#timer);
    this.#work?.abort();
    this.#work = undefined;
    this.#again = false;
    this.#attempt = 0;
  }

  async #run(work: AbortController): Promise<void> {
    try {
      while (this.#again && !work.signal.aborted) {
        this.#again = false;
        await this.#catchUpOnce(work.signal);
      }
      this.#attempt = 0;
    } catch (error) {
      if (!work.signal.aborted) this.#onFailure(error);
    } finally {
      if (this.#work === work) this.#work = undefined;
    }
  }

  async #catchUpOnce(signal: AbortSignal): Promise<void> {
    const page = await this.#fetchPage(signal);
    if (signal.aborted) return;
    if (page !== null) this.#emitAll(page, signal);
    if (signal.aborted) return;
    if (page?.readUntil !== undefined) this.#listener.readUntil(page.readUntil);
    this.#seen.markCaughtUp(page?.cursor ?? null);
    if (page !== null) this.#scheduleRecheck();
    this.#listener.done();
  }

  /** Where the service refuses its own cursor, the whole history is fetched, once. */
  async #fetchPage(signal: AbortSignal): Promise<HistoryPage | null> {
    const { cursor } = this.#seen;
    try {
      return await this.#service.fetchHistory(cursor, signal);
    } catch (error) {
      if (cursor === null || statusOf(error) !== 400) throw error;
      this.#seen.dropCursor();
      return this.#service.fetchHistory(null, signal);
    }
  }

  #emitAll({ notifications, servedAt }: HistoryPage, signal: AbortSignal): void {
    const sourceOf = this.#sourceOf(servedAt);
    for (const notification of notifications)
      if (!signal.aborted) this.#listener.notification(notification, sourceOf(notification));
  }

  /**
   * In a browser that has caught up before, every unknown notification is new. Otherwise only its time can tell, by
   * the services' clocks, as this machine's may be wrong. A time in the future comes from a wrong clock.
   */
  #sourceOf(servedAt: number): (notification: Notification) => Source {
    const { clock, isAwaited } = this.#settings;
    const { hasCaughtUp, plainText } = this.#seen;
    const createdAt = servedAt - (clock.now() - this.#createdAt);
    const isRecent = (time: number): boolean => time >= createdAt && time < servedAt + CLOCK_TOLERANCE_MS;
    return ({ taskId, time }) =>
      !plainText && (hasCaughtUp || isAwaited(taskId) || isRecent(time)) ? "catch-up" : "history";
  }

  #scheduleRecheck(): void {
    const { clock, random, timing } = this.#settings;
    const ms = timing.recheckMs[this.#rechecks];
    clock.clearTimeout(this.#recheckTimer);
    if (ms === undefined) return;
    this.#rechecks += 1;
    const spread = 1 + random() / 2; // pages that lost their connection together do not ask together
    this.#recheckTimer = clock.setTimeout(() => this.request(false), ms * spread);
  }

  #onFailure(error: unknown): void {
    this.dropRecheck();
    this.#rechecks = 0;
    if (!(error instanceof SignedOutError)) this.#retry(retryAfterOf(error));
    this.#listener.failed(error);
  }

  #retry(retryAfterMs = 0): void {
    const { clock, random, timing } = this.#settings;
    const delayMs = backoffMs(timing.retry, this.#attempt, random, retryAfterMs);
    this.#attempt += 1;
    if (retryAfterMs > 0) this.#notBefore = clock.now() + delayMs;
    this.#schedule(delayMs);
  }

  #schedule(ms: number): void {
    const { clock } = this.#settings;
    clock.clearTimeout(this.#timer);
    this.#timer = clock.setTimeout(() => {
      this.#notBefore = 0; // this machine's clock may have been set back meanwhile
      this.request(false);
    }, ms);
  }
}
