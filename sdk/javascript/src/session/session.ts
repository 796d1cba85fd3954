import { SignedOutError, statusOf, toClientError } from "../api/errors";
import type { Http } from "../api/http";
import type { TaskResult, TaskStatus } from "../api/task-status";
import { TokenService } from "../api/token-service";
import { isOnline, isVisible, watchPage } from "../browser/page-events";
import { UserStorage, type WebStorage } from "../browser/user-storage";
import { Connection } from "../connection/connection";
import type { Settings } from "../connection/options";
import type { ConnectionState } from "../connection/state-machine";
import type { Clock } from "../internal/timers";
import { canShare, SharedTabs } from "../tabs/shared-tabs";
import { SingleTab } from "../tabs/single-tab";
import type { TabListener, Tabs } from "../tabs/tabs";
import { PendingTasks } from "../tasks/pending-tasks";
import { StatusReader } from "../tasks/status-reader";
import { isAwaited } from "../tasks/task-store";
import type { SessionContext } from "./context";
import { Outbox } from "./outbox";
import { ReadMarker } from "./read-marker";
import { SENDING, type SessionState } from "./state";
import { TabSync } from "./tab-sync";
import { UserTasks } from "./user-tasks";

export interface SessionOptions extends Pick<Settings, "openStream" | "timing"> {
  userId: string;
  http: Http;
  storage: WebStorage | null;
  shareConnection: boolean;
  clock: Clock;
  random: () => number;
}

/** Builds the parts of what one user has open, and opens and closes them together. */
export class Session {
  readonly outbox: Outbox;
  readonly read: ReadMarker;
  readonly #context: SessionContext;
  readonly #tasks: UserTasks;
  readonly #connection: Connection;
  readonly #statusReader: StatusReader;
  readonly #sync: TabSync;
  /** From `start` to `stop`. */
  #running: AbortController | undefined;
  /** Like running, but not while the page is in the back/forward cache. */
  #isOpen = false;

  constructor(state: SessionState, options: SessionOptions) {
    const context = (this.#context = this.#createContext(state, options));
    this.#tasks = new UserTasks(context);
    this.outbox = new Outbox(context, this.#tasks, (error) => this.#onExpired(error));
    this.read = new ReadMarker(context);
    this.#connection = this.#createConnection(options);
    this.#statusReader = this.#createStatusReader();
    this.#sync = new TabSync(context, {
      connection: this.#connection,
      tasks: this.#tasks,
      outbox: this.outbox,
      read: this.read,
      onSignedOut: () => this.#clear(),
    });
    this.#tasks.load();
    this.outbox.load();
    this.read.load();
  }

  start(): void {
    if (this.#running !== undefined || this.#hasEnded) return;
    this.#running = new AbortController();
    watchPage(this.#running.signal, {
      onNetwork: (online) => this.#onNetwork(online),
      onVisible: () => this.#onVisible(),
      onHide: () => this.#close("idle"),
      onRestored: () => this.#open(),
    });
    this.#open();
  }

  stop(): void {
    if (!this.#hasEnded) this.#end("idle");
  }

  /** Ends the session in all tabs and clears what is stored. */
  signOut(): void {
    this.#context.tabs.join();
    this.#context.tabs.send({ type: "signed-out" });
    this.#clear();
  }

  /** Reconnects and sends now, without waiting for the end of a delay. */
  retry(): void {
    this.outbox.flush();
    this.#connection.checkNow();
    this.#context.tabs.send({ type: "check-now" });
  }

  /** Sends the unsent task of this key, or all of them, again. Another tab may hold it in memory. */
  resend(key?: string): void {
    if (!this.outbox.resend(key) && key !== undefined) this.#context.tabs.send({ type: "resend", key });
  }

  remove(key: string): void {
    this.#tasks.change({ type: "removed", key });
  }

  async task(taskId: string, signal?: AbortSignal): Promise<TaskStatus> {
    const status = await this.#context.service.task(taskId, signal);
    this.#learn(status);
    return status;
  }

  /** Lists a task that is not listed. */
  async discover(taskId: string, signal: AbortSignal): Promise<void> {
    this.#changeStatus(await this.#context.service.task(taskId, signal));
  }

  result(taskId: string): Promise<TaskResult> {
    return this.#context.service.result(taskId);
  }

  async cancel(taskId: string): Promise<TaskStatus> {
    const { clock, service } = this.#context;
    try {
      const status = await service.cancel(taskId);
      const requested = { ...status, cancelRequestedAt: status.cancelRequestedAt ?? clock.now() };
      this.#learn({ ...requested, updatedAt: 0 });
      return requested;
    } catch (error) {
      const hasEnded = statusOf(error) === 409;
      if (hasEnded) await this.task(taskId).catch(() => undefined); // for the list
      throw error;
    }
  }

  get #hasEnded(): boolean {
    return this.#context.state.connection.value.state === "signed-out";
  }

  #createContext(state: SessionState, options: SessionOptions): SessionContext {
    const { http, clock, random } = options;
    const storage = new UserStorage(options.userId, options.storage);
    storage.clearOthers();
    const listener: TabListener = {
      message: (message) => this.#sync.receive(message),
      onLeader: () => this.#lead(),
      onDeposed: () => this.#follow(),
    };
    const isShared = options.shareConnection && canShare();
    const tabs: Tabs = isShared ? new SharedTabs(storage.name, clock, listener) : new SingleTab(listener);
    const pending = new PendingTasks(storage.keyValueStore("pending-tasks"));
    return { state, http, service: new TokenService(http), storage, pending, tabs, clock, random };
  }

  #createConnection({ openStream, timing }: SessionOptions): Connection {
    const { state, service, storage, clock, random } = this.#context;
    const connection = new Connection({
      ...{ service, openStream, clock, random, timing },
      storage: storage.value("seen-notifications"),
      isAwaited: (taskId) => isAwaited(state.tasks.map, taskId),
    });
    connection.on("state", (connectionState) => {
      this.#statusReader.setDelivering(connectionState === "connected");
      if (connectionState === "signed-out" && !this.#hasEnded) this.#end("signed-out");
    });
    return connection;
  }

  #createStatusReader(): StatusReader {
    const { state, service, clock, random } = this.#context;
    const listener = {
      status: (status: TaskStatus) => this.#changeStatus(status),
      forgotten: ({ key }: { key: string }) => this.#tasks.change({ type: "forgotten", key, at: clock.now() }),
    };
    return new StatusReader(service, () => state.tasks.active(), listener, { clock, random });
  }

  #open(): void {
    const { state, tabs, clock } = this.#context;
    this.#isOpen = true;
    state.connection.setState("connecting", clock.now());
    tabs.join();
    if (isVisible()) tabs.activate();
    this.outbox.open();
  }

  /** Closes everything and saves; `#open` continues from there, on this page or the next one. */
  #close(connectionState: ConnectionState): void {
    const { state, tabs, clock } = this.#context;
    this.#isOpen = false;
    this.outbox.close();
    this.#tasks.stop();
    this.read.stop();
    this.#statusReader.stop();
    this.#connection.flush(); // before another tab can lead and load it
    tabs.leave();
    this.#connection.stop();
    state.connection.setState(connectionState, clock.now());
  }

  #end(connectionState: ConnectionState): void {
    this.#running?.abort();
    this.#running = undefined;
    this.#close(connectionState);
    if (connectionState === "signed-out") this.outbox.rejectAll(new SignedOutError("Nobody is signed in"));
  }

  /** The id token is refused: what is stored is kept until the user has signed in again. */
  #onExpired(error: SignedOutError): void {
    if (this.#hasEnded) return;
    this.#context.state.connection.setError(toClientError("token", error));
    this.#end("signed-out");
  }

  #clear(): void {
    const { state, storage } = this.#context;
    this.#end("signed-out");
    this.#connection.signOut();
    this.#tasks.clear();
    storage.clear();
    state.readUntil.set(0);
    state.outbox.set(SENDING);
  }

  #lead(): void {
    if (!this.#isOpen) return;
    this.#connection.setOnline(isOnline());
    this.#connection.start();
    this.#statusReader.start();
    this.read.sendSoon();
  }

  /** Another tab leads now. */
  #follow(): void {
    this.#statusReader.stop();
    this.#connection.stop();
  }

  #onNetwork(online: boolean): void {
    this.#connection.setOnline(online);
    if (online) this.outbox.flush();
  }

  #onVisible(): void {
    const { tabs } = this.#context;
    tabs.activate();
    this.#connection.checkNow();
    if (!tabs.isLeader) tabs.send({ type: "check-now" });
  }

  /** Updates a task that is listed. */
  #learn(status: TaskStatus): void {
    if (this.#context.state.tasks.get(status.taskId) !== undefined) this.#changeStatus(status);
  }

  #changeStatus(status: TaskStatus): void {
    this.#tasks.change({ type: "status", status, at: this.#context.clock.now() });
  }
}
