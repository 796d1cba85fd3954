import { resolveBaseUrl } from "./api/base-url";
import { SignedOutError, toClientError } from "./api/errors";
import type { Http } from "./api/http";
import type { TaskResult, TaskStatus } from "./api/task-status";
import { defaultStorage } from "./browser/user-storage";
import { repeat } from "./internal/backoff";
import type { Store } from "./internal/store";
import { withDefaults, type NotificationApiOptions, type ResolvedOptions } from "./options";
import type { ConnectionStatus } from "./session/connection-status";
import type { NotificationApiEvents } from "./session/events";
import { Identity } from "./session/identity";
import type { NotificationList } from "./session/notification-store";
import type { SubmitOptions, SubmittedTask } from "./session/outbox";
import { Session } from "./session/session";
import { SessionState, type OutboxStatus } from "./session/state";
import { TaskWatcher } from "./session/task-watcher";
import type { Task } from "./tasks/task";

/** Frameworks unmount and mount again, while developing at every change. */
const UNMOUNT_GRACE_MS = 2_000;

/** The tasks of the user, the newest first. */
export interface Tasks extends Store<readonly Task[]> {
  /** The task of this task id or key. */
  get(id: string): Task | undefined;
  /** Follows the task of this id or key. While it is watched and not listed, the service is asked for it. */
  watch(id: string): Store<Task | undefined>;
  /** Sends the unsent task of this key, or all of them, again. */
  resend(key?: string): void;
  /** Withdraws a task that is not accepted yet, and removes it from the list. */
  remove(key: string): void;
}

export interface Notifications extends Store<NotificationList> {
  /** Marks them as read until this time (epoch milliseconds), or all that are listed; on all devices of the user. */
  markRead(until?: number): void;
}

/** One signed-in user's tasks and notifications. See the package's README. */
export class NotificationApi {
  readonly connection: Store<ConnectionStatus>;
  readonly tasks: Tasks;
  readonly notifications: Notifications;
  /** Why submitted tasks wait, if they do. */
  readonly outbox: Store<OutboxStatus>;
  readonly #state = new SessionState();
  readonly #options: ResolvedOptions;
  readonly #identity: Identity;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  /** From `start` to `stop`. */
  #running: AbortController | undefined;
  #mounts = 0;
  #unmountTimer: unknown;

  /** Opens nothing, and touches no API of the browser. */
  constructor(options: NotificationApiOptions) {
    const { connection, notifications, outbox } = this.#state;
    this.#options = withDefaults(options);
    this.#identity = new Identity(options.getIdToken);
    this.connection = connection;
    this.outbox = outbox;
    this.tasks = this.#createTasks();
    const { subscribe, getSnapshot, getServerSnapshot } = notifications;
    const newest = (): number => getSnapshot().items[0]?.time ?? 0;
    const markRead = (until = newest()): void => this.#session?.read.mark(until);
    this.notifications = { subscribe, getSnapshot, getServerSnapshot, markRead };
  }

  /** Opens the stream, or joins the tab that has it. Idempotent. */
  start(): void {
    const http = this.#http(); // throws where the URL is wrong
    if (this.#running !== undefined || this.#hasEnded) return;
    this.#running = new AbortController();
    this.#state.connection.setState("connecting", this.#options.clock.now());
    const { signal } = this.#running;
    void repeat(() => this.#tryToStart(http, signal), this.#options, signal);
  }

  /** Closes everything and saves; `start` continues from there. Idempotent. */
  stop(): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#session?.stop();
    if (!this.#hasEnded) this.#state.connection.setState("idle", this.#options.clock.now());
  }

  /** Starts, and returns a function that ends this mount. The last one stops, unless another follows within 2 s. */
  mount(): () => void {
    const { clock } = this.#options;
    clock.clearTimeout(this.#unmountTimer);
    this.#mounts += 1;
    this.start();
    let isMounted = true;
    return () => {
      if (!isMounted) return;
      isMounted = false;
      this.#mounts -= 1;
      if (this.#mounts === 0) this.#unmountTimer = clock.setTimeout(() => this.stop(), UNMOUNT_GRACE_MS);
    };
  }

  /** Ends the session in all tabs, and clears what is stored. This object cannot be started again. */
  async signOut(): Promise<void> {
    const session = await this.#open().catch(() => undefined);
    session?.signOut();
    this.stop();
    this.#state.connection.setState("signed-out", this.#options.clock.now());
  }

  /** Reconnects and sends what waits now, without waiting for the next attempt. */
  retry(): void {
    this.#session?.retry();
  }

  /** Returns a function that removes the listener. */
  on<K extends keyof NotificationApiEvents>(name: K, listener: (value: NotificationApiEvents[K]) => void): () => void {
    return this.#state.events.on(name, listener);
  }

  /**
   * Sends a task, over page loads too, until the service has accepted or refused it. `data` is any JSON but null.
   *
   * @throws NotificationError where it is refused or no longer tried; what `signal` was aborted with.
   */
  async submit(type: string, data: unknown, options: SubmitOptions = {}): Promise<SubmittedTask> {
    const session = this.#session ?? (await this.#open());
    return session.outbox.submit(type, data, options);
  }

  async task(taskId: string, { signal }: { signal?: AbortSignal } = {}): Promise<TaskStatus> {
    return (await this.#open()).task(taskId, signal);
  }

  /** The whole result of a finished task, which may be longer than a notification. */
  async result(taskId: string): Promise<TaskResult> {
    return (await this.#open()).result(taskId);
  }

  /** Asks for the task to be cancelled. It may still finish. */
  async cancel(taskId: string): Promise<TaskStatus> {
    return (await this.#open()).cancel(taskId);
  }

  get #hasEnded(): boolean {
    return this.#state.connection.value.state === "signed-out";
  }

  #createTasks(): Tasks {
    const { clock, random } = this.#options;
    const { subscribe, getSnapshot, getServerSnapshot, get } = this.#state.tasks;
    const ask = async (taskId: string, signal: AbortSignal): Promise<void> =>
      (await this.#open()).discover(taskId, signal);
    const watcher = new TaskWatcher({ list: this.#state.tasks, clock, random, ask });
    return {
      ...{ subscribe, getSnapshot, getServerSnapshot, get },
      watch: (id) => watcher.watch(id),
      resend: (key) => this.#session?.resend(key),
      remove: (key) => this.#session?.remove(key),
    };
  }

  /** False where the user is not known: an id token that cannot be had now may be had later. */
  async #tryToStart(http: Http, signal: AbortSignal): Promise<boolean> {
    try {
      const session = await this.#open(http);
      if (!signal.aborted) session.start();
      return true;
    } catch (error) {
      this.#state.connection.setError(toClientError("token", error));
      if (!(error instanceof SignedOutError)) return false;
      this.#state.connection.setState("signed-out", this.#options.clock.now());
      return true;
    }
  }

  /** The session of the user, who is asked for where `userId` is not set. */
  #open(http = this.#http()): Promise<Session> {
    this.#opening ??= this.#createSession(http).catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #createSession(http: Http): Promise<Session> {
    const { userId = await this.#identity.userId(http), storage = defaultStorage(), ...options } = this.#options;
    const session = new Session(this.#state, { ...options, userId, storage, http });
    this.#session = session;
    return session;
  }

  #http(): Http {
    const { url, fetch } = this.#options;
    return { baseUrl: resolveBaseUrl(url), fetch, getIdToken: this.#identity.getIdToken };
  }
}
