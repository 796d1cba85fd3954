import { backoffMs } from "./backoff";
import { CatchUp } from "./catch-up";
import { Emitter } from "./emitter";
import { Grants } from "./grants";
import { SignedOutError } from "./http";
import { INITIAL, publicState, step, type Effect, type Input } from "./machine";
import { parseItem } from "./notification";
import { withDefaults, type ClientOptions, type Settings } from "./options";
import { describe, retryAfter } from "./problem";
import { Seen } from "./seen";
import { TokenService } from "./service";
import { StreamError } from "./stream";
import { Streams, type CurrentListener } from "./streams";
import { Timers } from "./timers";
import type { ClientEvents, ClientState, Notification, Problem, Source } from "./types";
import { Watchdog } from "./watchdog";

const SAVE_AFTER_MS = 500;

/**
 * Tells one signed-in user's news, each once, for as long as it runs. See README.md beside this file.
 * The decisions are in machine.ts; this class carries them out.
 */
export class NotificationClient {
  readonly #settings: Settings;
  readonly #emitter = new Emitter<ClientEvents>();
  readonly #timers: Timers<"grace" | "retry" | "renewal" | "save">;
  readonly #seen: Seen;
  readonly #grants: Grants;
  readonly #catchUp: CatchUp;
  readonly #streams: Streams;
  readonly #watchdog: Watchdog;
  #machine = INITIAL;
  #state: ClientState = publicState(INITIAL);
  /** What is being fetched or opened now; aborted when it is no longer wanted. */
  #work = new AbortController();
  /** Received on the current stream. */
  #characters = 0;

  constructor(options: ClientOptions) {
    const settings = (this.#settings = withDefaults(options));
    const service = new TokenService(settings, settings.tokenUrl, settings.notificationsUrl);
    this.#timers = new Timers(settings.clock);
    this.#seen = new Seen(settings.memory);
    this.#grants = new Grants(service, settings);
    this.#streams = new Streams(settings, this.#listener());
    this.#watchdog = new Watchdog(settings.clock, settings.timing.watchdog, () => this.#input({ type: "silent" }));
    this.#catchUp = new CatchUp(service, this.#seen, settings, {
      news: (news, source) => this.#tell(news, source),
      done: () => this.#saveSoon(),
      failed: (error) => this.#problem("catch-up", error),
    });
  }

  get state(): ClientState {
    return this.#state;
  }

  /** Returns a function that removes the listener. */
  on<K extends keyof ClientEvents>(name: K, listener: (value: ClientEvents[K]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  start(): void {
    this.#seen.recall();
    this.#input({ type: "start" });
  }

  /** Ends the stream and remembers what was told; `start` goes on from there. */
  stop(): void {
    this.#input({ type: "stop" });
    this.flush();
  }

  /** The user has signed out: ends everything and forgets it. This client tells nothing more, ever. */
  signOut(): void {
    this.#input({ type: "refused" });
    this.#timers.cancel("save");
    this.#seen.forget();
  }

  /** What the browser believes about its network. */
  setOnline(online: boolean): void {
    this.#input({ type: online ? "online" : "offline" });
    if (online) this.nudge();
  }

  /** The page is looked at, or has woken: do now what a late timer would do. */
  nudge(): void {
    this.#input({ type: "nudge" });
    if (this.#machine.phase === "live") this.#watchdog.check();
  }

  /** Another tab has told this: it counts as told here, and is that tab's to write down. */
  observe(news: Notification): void {
    if (this.#state !== "signed-out") this.#seen.add(news);
  }

  /** Writes down at once what was told; for a page that is about to go. */
  flush(): void {
    if (this.#timers.has("save")) this.#seen.save();
    this.#timers.cancel("save");
  }

  #input(input: Input): void {
    const [machine, effects] = step(this.#machine, input, this.#settings.clock.now());
    this.#machine = machine;
    const state = publicState(machine);
    const changed = state !== this.#state;
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    if (changed) this.#emitter.emit("state", state);
  }

  #perform(effect: Effect): void {
    switch (effect.do) {
      case "connect":
        return void this.#connect();
      case "renew":
        return void this.#renew();
      case "close":
        return this.#close();
      case "catch-up":
        return this.#catchUp.request(effect.recheck);
      case "grace":
        return this.#later("grace", effect.ms, { type: "grace-over" });
      case "retry":
        return this.#later("retry", this.#backoff(effect.attempt, effect.retryAfterMs), { type: "retry-due" });
      case "schedule-renewal":
        return this.#later("renewal", this.#grants.dueInMs, { type: "renewal-due" });
      case "retry-renewal":
        return this.#later("renewal", this.#backoff(effect.attempt, effect.retryAfterMs), { type: "renewal-due" });
    }
  }

  async #connect(): Promise<void> {
    const { signal } = this.#work;
    let tokenGiven = false;
    try {
      const grant = await this.#grants.current(signal);
      tokenGiven = true;
      await this.#streams.open(grant, signal);
      this.#input({ type: "opened" });
    } catch (error) {
      if (signal.aborted) return;
      this.#problem(tokenGiven ? "stream" : "token", error);
      this.#input({ type: "failed", tokenGiven, ...retryAfter(error) });
    }
  }

  /** Swaps in a stream with a younger token, without a gap. */
  async #renew(): Promise<void> {
    const { signal } = this.#work;
    const before = this.#grants.token;
    try {
      const grant = await this.#grants.renew(signal);
      // Until half its life is over, the service gives the same token to all who ask.
      const swapped = grant.token !== before || this.#isFull();
      if (swapped) await this.#streams.open(grant, signal);
      this.#input({ type: "renewed", swapped });
    } catch (error) {
      if (signal.aborted) return;
      this.#problem("token", error);
      this.#input({ type: "renewal-failed", ...retryAfter(error) });
    }
  }

  #listener(): CurrentListener {
    return {
      promoted: () => {
        this.#characters = 0;
        this.#watchdog.start();
      },
      item: (text, position) => {
        this.#sign(text.length);
        this.#tell(parseItem(text, position, this.#settings.clock.now()), "live");
      },
      heartbeat: () => {
        this.#watchdog.heartbeat();
        this.#input({ type: "alive" });
      },
      gap: () => this.#input({ type: "gap" }),
      interrupted: (resumes) => this.#input({ type: "interrupted", resumes }),
      ended: (error) => {
        this.#problem("stream", error);
        this.#input({ type: "ended" });
      },
    };
  }

  #sign(characters: number): void {
    this.#watchdog.sign();
    this.#input({ type: "alive" });
    this.#characters += characters;
    if (this.#isFull()) this.#input({ type: "full" });
  }

  #isFull(): boolean {
    return this.#characters > this.#settings.timing.maxStreamCharacters;
  }

  #close(): void {
    this.#work.abort();
    this.#work = new AbortController();
    this.#timers.cancel("grace", "retry", "renewal");
    this.#watchdog.stop();
    this.#streams.close();
    if (this.#isRunning()) this.#catchUp.dropRecheck();
    else this.#catchUp.stop();
  }

  #isRunning(): boolean {
    return this.#machine.phase !== "stopped" && this.#machine.phase !== "signed-out";
  }

  #tell(news: Notification, source: Source): void {
    if (!this.#isRunning() || !this.#seen.add(news, source)) return;
    this.#saveSoon();
    this.#emitter.emit("news", { ...news, source });
  }

  #problem(stage: Problem["stage"], error: unknown): void {
    if (error instanceof StreamError && error.tokenRefused) this.#grants.drop();
    this.#emitter.emit("problem", describe(stage, error));
    if (error instanceof SignedOutError) this.#input({ type: "refused" });
  }

  #saveSoon(): void {
    if (!this.#timers.has("save")) this.#timers.set("save", SAVE_AFTER_MS, () => this.#seen.save());
  }

  #later(name: "grace" | "retry" | "renewal", ms: number, input: Input): void {
    this.#timers.set(name, ms, () => this.#input(input));
  }

  #backoff(attempt: number, retryAfterMs: number): number {
    return backoffMs(this.#settings.timing.retry, attempt, this.#settings.random, retryAfterMs);
  }
}
