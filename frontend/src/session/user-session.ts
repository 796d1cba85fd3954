import {
  isAwaited,
  NotificationClient,
  StatusReader,
  TabCoordinator,
  TokenService,
  type Http,
  type StoredValue,
} from "notification-api-client";
import { endSession, idTokenOf, type User } from "../auth/cognito-session";
import { maxBodyBytesOf, route, type Config } from "../platform/config";
import { isVisible, watchPage } from "../platform/page-events";
import { UserStorage } from "../platform/user-storage";
import { Presentation } from "../presentation/presentation";
import { startClock, type Clock } from "./clock";
import { ConnectionStatus } from "./connection-status";
import { ReadState } from "./read-state";
import { TabSync } from "./tab-sync";
import { TaskActions } from "./task-actions";
import { UserTasks } from "./user-tasks";

/** Opens everything that a signed-in user has on this page, and closes it at sign-out or when the page is left. */
export class UserSession {
  readonly connection = new ConnectionStatus();
  readonly tasks: UserTasks;
  readonly actions: TaskActions;
  readonly read: ReadState;
  readonly presentation: Presentation;
  readonly clock: Clock;
  /** The text that is typed and not sent. It belongs to this tab, and survives a page load. */
  readonly draft: StoredValue;
  readonly maxBodyBytes: number;
  readonly taskTypes: string[];
  readonly #config: Config;
  readonly #user: User;
  readonly #onEnded: (expired: boolean) => void;
  readonly #client: NotificationClient;
  readonly #tabs: TabCoordinator;
  readonly #storage: UserStorage;
  readonly #tabStorage: UserStorage;
  readonly #statusReader: StatusReader;
  readonly #closing = new AbortController();

  /** `onEnded` is called once, when the session has expired or was ended in another tab; not after `signOut`. */
  constructor(config: Config, user: User, onEnded: (expired: boolean) => void) {
    this.#config = config;
    this.#user = user;
    this.#onEnded = onEnded;
    this.maxBodyBytes = maxBodyBytesOf(config);
    this.taskTypes = config.taskTypes ?? [];
    this.#storage = new UserStorage(user.id);
    this.#storage.clearOthers();
    this.#tabStorage = new UserStorage(user.id, sessionStorage);
    this.#tabStorage.clearOthers();
    this.draft = this.#tabStorage.value("draft");
    this.presentation = new Presentation(this.#storage.value("system-notifications"));
    this.clock = startClock(this.#closing.signal);
    this.#tabs = new TabCoordinator(this.#storage.name, {
      message: (message) => sync.receive(message),
      onLeader: () => this.#lead(),
    });
    const tokenUrl = route(config.tokenUrl, "token");
    const http = { fetch: (...request: Parameters<typeof fetch>) => fetch(...request), getIdToken: idTokenOf(user.id) };
    const service = new TokenService(http, { tokenUrl });
    this.tasks = new UserTasks(config, http, this.#storage, this.#tabs, () => this.#endSession(true));
    this.actions = new TaskActions(this.tasks, service, (key) => this.resend(key));
    this.read = new ReadState(this.tasks.store, service, this.#storage.value("read-until"), this.#tabs);
    this.#client = this.#createClient(http, tokenUrl);
    this.#statusReader = this.#createStatusReader(service);
    const sync = new TabSync({
      tabs: this.#tabs,
      client: this.#client,
      connection: this.connection,
      tasks: this.tasks,
      read: this.read,
      presentation: this.presentation,
      onSignedOut: () => this.#endSession(false),
    });
  }

  open(): void {
    this.tasks.load();
    watchPage(this.#closing.signal, {
      onNetwork: (online) => this.#onNetwork(online),
      onVisible: () => this.#onVisible(),
      onLeave: () => this.close(),
    });
    this.read.watchPage(this.#closing.signal, (count) => this.presentation.showUnread(count));
    this.#tabs.join();
    if (isVisible()) this.#tabs.activate();
    this.tasks.flush();
  }

  /** Sends an unsent task again. Another tab may hold it in memory. */
  resend(key: string): void {
    if (!this.tasks.resend(key)) this.#tabs.send({ type: "resend", key });
  }

  /** Reconnects and sends all unsent tasks now. */
  retry(): void {
    this.tasks.resend();
    this.#client.checkNow();
    this.#tabs.send({ type: "check-now" });
  }

  /** Ends the session in all tabs, and clears what is stored. The other tabs are notified once no token is left. */
  async signOut(): Promise<void> {
    this.#closing.abort(); // the client's state `signed-out` must not end the session a second time
    await endSession(this.#user.id, this.#config);
    this.#tabs.send({ type: "signed-out" });
    this.#clear();
  }

  /** Closes everything and saves; the next page continues from there. */
  close(): void {
    this.#closing.abort();
    this.tasks.close();
    this.read.close();
    this.#statusReader.stop();
    this.#client.stop();
    this.#tabs.close();
    this.presentation.close();
  }

  #clear(): void {
    this.close();
    this.presentation.clear();
    this.#client.signOut();
    this.tasks.clear();
    this.actions.clear();
    this.#storage.clear();
    this.#tabStorage.clear();
  }

  #endSession(expired: boolean): void {
    if (this.#closing.signal.aborted) return;
    if (expired) this.close();
    else this.#clear();
    this.#onEnded(expired);
  }

  #lead(): void {
    this.connection.setState("connecting");
    this.#client.setOnline(navigator.onLine);
    this.#client.start();
    this.#statusReader.start();
    this.read.sendSoon();
  }

  #createClient(http: Http, tokenUrl: string): NotificationClient {
    const client = new NotificationClient({
      tokenUrl,
      getIdToken: http.getIdToken,
      storage: this.#storage.value("seen-notifications"),
      isAwaited: (taskId) => isAwaited(this.tasks.store, taskId),
    });
    client.on("state", (state) => {
      this.#statusReader.setDelivering(state === "live");
      if (state === "signed-out") this.#endSession(true);
    });
    return client;
  }

  #createStatusReader(service: TokenService): StatusReader {
    return new StatusReader(service, () => this.tasks.active(), {
      status: (status) => this.tasks.change({ type: "status", status, at: Date.now() }),
      forgotten: ({ key }) => this.tasks.change({ type: "forgotten", key, at: Date.now() }),
    });
  }

  #onNetwork(online: boolean): void {
    this.#client.setOnline(online);
    if (online) this.tasks.flush();
  }

  #onVisible(): void {
    this.#tabs.activate();
    this.#client.checkNow();
    if (!this.#tabs.isLeader) this.#tabs.send({ type: "check-now" });
  }
}
