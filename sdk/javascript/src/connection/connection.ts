import { SignedOutError, StreamError, retryAfterOf, toClientError, type ClientError } from "../api/errors";
import { backoffMs } from "../internal/backoff";
import { Emitter } from "../internal/emitter";
import { Timers } from "../internal/timers";
import {
  parseItem,
  parseOtherMessage,
  parseReadUntil,
  type Notification,
  type SourcedNotification,
  type Source,
} from "../notifications/notification";
import { SeenNotifications } from "../notifications/seen-notifications";
import { CatchUp } from "./catch-up";
import { DisposableTokens } from "./disposable-tokens";
import { HeartbeatMonitor } from "./heartbeat-monitor";
import type { Settings } from "./options";
import {
  INITIAL_STATE,
  connectionState,
  transition,
  type ConnectionState,
  type ConnectionEvent,
  type Effect,
} from "./state-machine";
import { StreamPool, type StreamPoolListener } from "./stream-pool";

const SAVE_AFTER_MS = 500;

export interface EmittedEvents {
  state: ConnectionState;
  notification: SourcedNotification;
  error: ClientError;
  /** Until when the user has read the notifications, in epoch milliseconds. */
  readUntil: number;
}

/**
 * Receives one signed-in user's notifications and emits each once, for as long as it runs. See the package's README.
 * `state-machine.ts` decides; this class carries out the effects.
 */
export class Connection {
  readonly #settings: Settings;
  readonly #emitter = new Emitter<EmittedEvents>();
  readonly #timers: Timers<"retry" | "renewal" | "save">;
  readonly #seen: SeenNotifications;
  readonly #tokens: DisposableTokens;
  readonly #catchUp: CatchUp;
  readonly #streams: StreamPool;
  readonly #heartbeat: HeartbeatMonitor;
  #machine = INITIAL_STATE;
  #state: ConnectionState = connectionState(INITIAL_STATE);
  /** Aborts the token request or the opening of a stream once it is no longer needed. */
  #work = new AbortController();

  constructor(settings: Settings) {
    const { service } = settings;
    this.#settings = settings;
    this.#timers = new Timers(settings.clock);
    this.#seen = new SeenNotifications(settings.storage);
    this.#tokens = new DisposableTokens(service, settings);
    this.#streams = new StreamPool(settings, this.#streamListener());
    this.#heartbeat = new HeartbeatMonitor(settings.clock, settings.timing.heartbeat, () =>
      this.#dispatch({ type: "heartbeat-timeout" }),
    );
    this.#catchUp = new CatchUp(service, this.#seen, settings, {
      notification: (notification, source) => this.#emit(notification, source),
      readUntil: (readUntil) => this.#emitter.emit("readUntil", readUntil),
      done: () => this.#saveSoon(),
      failed: (error) => this.#onError("catch-up", error),
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Returns a function that removes the listener. */
  on<K extends keyof EmittedEvents>(name: K, listener: (value: EmittedEvents[K]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  start(): void {
    this.#seen.load();
    this.#dispatch({ type: "start" });
  }

  /** Closes the stream and saves what was emitted; `start` continues from there. */
  stop(): void {
    this.#dispatch({ type: "stop" });
    this.flush();
  }

  /** The user has signed out: closes the stream and clears what was saved. This client never emits anything again. */
  signOut(): void {
    this.#dispatch({ type: "signed-out" });
    this.#timers.cancel("save");
    this.#seen.clear();
  }

  /** Whether the browser reports a network. */
  setOnline(online: boolean): void {
    this.#dispatch({ type: online ? "online" : "offline" });
    if (online) this.checkNow();
  }

  /** Does now what a late timer would do: the page has become visible or has woken from sleep. */
  checkNow(): void {
    this.#dispatch({ type: "check-now" });
    if (this.#machine.phase !== "connected") return;
    this.#heartbeat.check();
    // The timer of the renewal does not run while the machine sleeps.
    if (this.#tokens.renewInMs === 0) this.#dispatch({ type: "renewal-due" });
  }

  /** Another tab has emitted this notification. That tab saves it. */
  markSeen(notification: Notification): void {
    if (this.#state !== "signed-out") this.#seen.add(notification);
  }

  /** Saves at once what was emitted, for a page that is about to be unloaded. */
  flush(): void {
    if (this.#timers.has("save")) this.#seen.save();
    this.#timers.cancel("save");
  }

  #dispatch(event: ConnectionEvent): void {
    const [machine, effects] = transition(this.#machine, event, this.#settings.clock.now());
    this.#machine = machine;
    const state = connectionState(machine);
    const changed = state !== this.#state;
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    if (changed) this.#emitter.emit("state", state);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "connect":
        return void this.#connect();
      case "renew":
        return void this.#renew(effect.newStream);
      case "close":
        return this.#close();
      case "catch-up":
        return this.#catchUp.request(effect.recheck);
      case "retry":
        return this.#schedule("retry", this.#backoffMs(effect.attempt, effect.retryAfterMs), { type: "retry-due" });
      case "schedule-renewal":
        return this.#schedule("renewal", this.#tokens.renewInMs, { type: "renewal-due" });
      case "retry-renewal":
        return this.#schedule("renewal", this.#backoffMs(effect.attempt, effect.retryAfterMs), { type: "renewal-due" });
    }
  }

  async #connect(): Promise<void> {
    const { signal } = this.#work;
    let hasToken = false;
    try {
      const token = await this.#tokens.get(signal);
      hasToken = true;
      await this.#streams.open(token, signal);
      this.#dispatch({ type: "opened" });
    } catch (error) {
      if (signal.aborted) return;
      this.#onError(hasToken ? "stream" : "token", error);
      this.#dispatch({ type: "failed", hasToken, retryAfterMs: retryAfterOf(error) ?? 0 });
    }
  }

  /** Replaces the stream by one with a new token, without a gap. `mustReplace`: also where the token is the same. */
  async #renew(mustReplace: boolean): Promise<void> {
    const { signal } = this.#work;
    const before = this.#tokens.token;
    try {
      const token = await this.#tokens.renew(signal);
      // Until half its lifetime is over, the service returns the same token to all callers.
      const newStream = mustReplace || token.token !== before;
      if (newStream) await this.#streams.open(token, signal);
      this.#dispatch({ type: "renewed", newStream });
    } catch (error) {
      if (signal.aborted) return;
      this.#onError("token", error);
      this.#dispatch({ type: "renewal-failed", retryAfterMs: retryAfterOf(error) ?? 0 });
    }
  }

  #streamListener(): StreamPoolListener {
    return {
      onCurrentChanged: () => this.#heartbeat.start(),
      item: (text, position) => {
        this.#heartbeat.activity();
        this.#onItem(text, position);
      },
      heartbeat: () => this.#heartbeat.heartbeat(),
      gap: () => this.#dispatch({ type: "gap" }),
      oversized: () => this.#dispatch({ type: "oversized" }),
      ended: (error) => {
        this.#onError("stream", error);
        this.#dispatch({ type: "ended" });
      },
    };
  }

  /** An object that is not a notification is a text only where notifications are plain text. An empty text is none. */
  #onItem(text: string, position: string): void {
    if (text === "") return;
    const other = this.#seen.plainText ? null : parseOtherMessage(text);
    if (other === null) return this.#emit(parseItem(text, position, this.#settings.clock.now()), "live");
    const readUntil = parseReadUntil(other);
    if (readUntil !== undefined && this.#isRunning()) this.#emitter.emit("readUntil", readUntil);
  }

  #close(): void {
    this.#work.abort();
    this.#work = new AbortController();
    this.#timers.cancel("retry", "renewal");
    this.#heartbeat.stop();
    this.#streams.close();
    if (this.#isRunning()) this.#catchUp.dropRecheck();
    else this.#catchUp.stop();
  }

  #isRunning(): boolean {
    return this.#machine.phase !== "idle" && this.#machine.phase !== "signed-out";
  }

  #emit(notification: Notification, source: Source): void {
    if (!this.#isRunning() || !this.#seen.add(notification, source)) return;
    this.#saveSoon();
    this.#emitter.emit("notification", { ...notification, source });
  }

  #onError(source: ClientError["source"], error: unknown): void {
    if (error instanceof StreamError && error.tokenRefused) this.#tokens.drop();
    this.#emitter.emit("error", toClientError(source, error));
    if (error instanceof SignedOutError) this.#dispatch({ type: "signed-out" });
  }

  #saveSoon(): void {
    if (!this.#timers.has("save")) this.#timers.set("save", SAVE_AFTER_MS, () => this.#seen.save());
  }

  #schedule(name: "retry" | "renewal", ms: number, event: ConnectionEvent): void {
    this.#timers.set(name, ms, () => this.#dispatch(event));
  }

  #backoffMs(attempt: number, retryAfterMs: number): number {
    return backoffMs(this.#settings.timing.retry, attempt, this.#settings.random, retryAfterMs);
  }
}
