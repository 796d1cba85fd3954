import { ref, shallowReactive, shallowRef, type Ref } from "vue";
import { endSession, idTokenOf, type User } from "../auth/session";
import {
  NotificationClient,
  type ClientState,
  type GetIdToken,
  type Memory,
  type News,
  type Notification,
  type Problem,
  type Source,
} from "../client";
import { PageTitle } from "../news/page-title";
import { SystemNotifications } from "../news/system-notifications";
import { Toasts } from "../news/toasts";
import { Tabs, type Message } from "../tabs/tabs";
import { EarlyNews } from "../tasks/early-news";
import { isUnsent, Letters, type Letter } from "../tasks/letters";
import type { Outbox } from "../tasks/outbox";
import { DEFAULT_MAX_BODY_BYTES } from "../tasks/split-tasks";
import { apply, isAwaited, merge, type Book, type Change } from "../tasks/task-book";
import { TaskMemory } from "../tasks/task-memory";
import { route, type Config } from "./config";
import { makeOutbox } from "./make-outbox";
import { watchPage } from "./page-events";
import { loadAhead } from "./redeploy";
import { UserStorage } from "./user-storage";
import { sameTrouble, type Delay } from "./words";

type Hears = { [T in Message["type"]]: (message: Extract<Message, { type: T }>) => void };

/** All that one signed-in user has on this page, from sign-in to sign-out. */
export class Workspace {
  readonly book: Book = shallowReactive(new Map());
  readonly state: Ref<ClientState> = ref("connecting");
  readonly problem = shallowRef<Problem | null>(null);
  readonly delay = shallowRef<Delay | null>(null);
  readonly system: SystemNotifications;
  /** What is typed and not sent: this tab's, whose page may be loaded anew under the user's hands. */
  readonly draft: Memory;
  readonly #client: NotificationClient;
  readonly #letters: Letters;
  readonly #outbox: Outbox;
  readonly #tabs: Tabs;
  readonly #memory: TaskMemory;
  readonly #storage: UserStorage;
  readonly #tabStorage: UserStorage;
  readonly #early = new EarlyNews(this.book, (told) => this.#apply(told));
  readonly #title = new PageTitle();
  readonly #toasts = new Toasts();
  readonly #closing = new AbortController();
  readonly #getIdToken: GetIdToken;
  #lastTime = 0;
  readonly #hears: Hears = {
    hello: () => this.#welcome(),
    welcome: ({ tasks, state, problem }) => {
      merge(this.book, tasks);
      this.problem.value = problem;
      this.#setState(state);
    },
    state: ({ state }) => this.#setState(state),
    problem: ({ problem }) => {
      if (!sameTrouble(this.problem.value, problem)) this.problem.value = problem;
    },
    news: ({ news, source, to }) => {
      this.#client.observe(news);
      this.#tell(news, source, to);
    },
    change: ({ change }) => this.#apply(change),
    resend: ({ key }) => void this.#resend(key),
    active: () => this.#title.reset(),
    bye: () => undefined,
    nudge: () => this.#client.nudge(),
    "signed-out": () => this.#over(false),
  };

  constructor(
    private readonly config: Config,
    private readonly user: User,
    /** Called at most once, when the session is over or was ended in another tab; not for `signOut`. */
    private readonly onOver: (expired: boolean) => void,
  ) {
    this.#getIdToken = idTokenOf(user.id);
    this.#storage = new UserStorage(user.id);
    this.#storage.clearOthers();
    this.#tabStorage = new UserStorage(user.id, sessionStorage);
    this.#tabStorage.clearOthers();
    this.draft = this.#tabStorage.item("draft");
    this.#letters = new Letters(this.#storage.shelf("outbox"));
    this.#memory = new TaskMemory(this.#storage.item("tasks"), this.book);
    this.system = new SystemNotifications(this.#storage.item("system-notifications"));
    this.#tabs = new Tabs(`notification-api:${user.id}`, {
      message: (message) => this.#receive(message),
      leads: () => this.#lead(),
    });
    this.#client = this.#makeClient(config);
    this.#outbox = makeOutbox(config, this.#getIdToken, this.#tabs, this.#letters, this.delay, {
      change: (change) => this.#change(change),
      nextTime: () => this.#nextTime(),
      signedOut: () => this.#over(true),
    });
  }

  open(): void {
    this.#memory.load();
    for (const letter of this.#letters.all()) this.#recall(letter);
    this.#watchPage();
    this.#tabs.join();
    this.#outbox.flush();
    loadAhead();
  }

  /** Sends one task; false where no more can be kept to be sent. */
  send(data: string): boolean {
    const letter = { key: crypto.randomUUID(), data, at: this.#nextTime() };
    this.#change({ type: "added", ...letter });
    const kept = this.#outbox.add(letter);
    if (!kept) this.#change({ type: "removed", key: letter.key });
    return kept;
  }

  /** What one request to send a task may weigh, in bytes. */
  get maxBodyBytes(): number {
    return this.config.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES;
  }

  remove(key: string): void {
    this.#change({ type: "removed", key });
  }

  /** Sends again a task that was not sent. */
  resend(key: string): void {
    if (!this.#resend(key)) this.#tabs.send({ type: "resend", key });
  }

  /** Does now what would be tried later, or no more. */
  retry(): void {
    this.#resend();
    this.#client.nudge();
    this.#tabs.send({ type: "nudge" });
  }

  /** Ends everything, here and in the other tabs, and forgets it. The others hear of it when no token is left. */
  async signOut(): Promise<void> {
    this.#closing.abort(); // what the parts say on their way out is not the end of the session a second time
    await endSession(this.user.id, this.config);
    this.#tabs.send({ type: "signed-out" });
    this.#forget();
  }

  /** Ends everything here; the next page goes on from there. */
  close(): void {
    this.#closing.abort();
    this.#outbox.close();
    this.#early.close();
    if (this.#tabs.leading) this.#memory.saveNow();
    this.#client.stop();
    this.#tabs.close();
    this.#toasts.clear();
    this.#title.reset();
  }

  #forget(): void {
    this.close();
    this.system.clear();
    this.#client.signOut();
    this.#memory.forget();
    this.#storage.clear();
    this.#tabStorage.clear();
    this.book.clear();
  }

  /** Tasks sent in one go keep their order. */
  #nextTime(): number {
    return (this.#lastTime = Math.max(Date.now(), this.#lastTime + 1));
  }

  /** False where there is nothing to send. */
  #resend(key?: string): boolean {
    const letters = this.#outbox.resend(key);
    for (const letter of letters) this.#change({ type: "retried", key: letter.key, at: this.#nextTime() });
    return letters.length > 0;
  }

  /** What the list says may be a moment older than what the outbox has written. */
  #recall(letter: Letter): void {
    const { key, data, at } = letter;
    apply(this.book, { type: "added", key, data, at });
    const unsent = isUnsent(letter);
    if (unsent === (this.book.get(key)?.state === "unsent")) return;
    apply(this.book, { type: unsent ? "unsent" : "retried", key, at: this.#nextTime() });
  }

  #makeClient({ tokenUrl }: Config): NotificationClient {
    const client = new NotificationClient({
      tokenUrl: route(tokenUrl, "token"),
      getIdToken: this.#getIdToken,
      memory: this.#storage.item("news"),
      isAwaited: (taskId) => isAwaited(this.book, taskId),
    });
    client.on("news", (news) => this.#news(news));
    client.on("problem", (problem) => {
      this.#hears.problem({ type: "problem", problem });
      this.#tabs.send({ type: "problem", problem });
    });
    client.on("state", (state) => {
      if (state === "signed-out") return this.#over(true);
      if (this.#tabs.leading) this.#setState(state);
      this.#tabs.send({ type: "state", state });
    });
    return client;
  }

  #lead(): void {
    this.#setState("connecting");
    this.#client.setOnline(navigator.onLine);
    this.#client.start();
  }

  #news({ source, ...news }: News): void {
    const to = this.#tabs.active;
    this.#tabs.send({ type: "news", news, source, to });
    this.#tell(news, source, to);
  }

  #tell(news: Notification, source: Source, to: string): void {
    this.#early.add({ type: "told", news, at: Date.now() });
    if (source === "history" || news.status === "progress") return;
    this.#title.add();
    if (to !== this.#tabs.id) return;
    this.#toasts.show(news);
    this.system.show(news);
  }

  #change(change: Change): void {
    this.#apply(change);
    this.#tabs.send({ type: "change", change });
  }

  #apply(change: Change): void {
    apply(this.book, change);
    if (change.type === "removed") this.#letters.remove(change);
    if (change.type === "accepted") this.#early.accepted(change.taskId);
    if (this.#tabs.leading) this.#memory.saveSoon();
  }

  #welcome(): void {
    if (!this.#tabs.leading) return;
    const { state, problem } = this;
    const tasks = [...this.book.values()];
    this.#tabs.send({ type: "welcome", state: state.value, problem: problem.value, tasks });
  }

  #receive(message: Message): void {
    (this.#hears[message.type] as (message: Message) => void)(message);
  }

  #setState(state: ClientState): void {
    this.state.value = state;
    if (state === "live") this.problem.value = null;
  }

  #over(expired: boolean): void {
    if (this.#closing.signal.aborted) return;
    if (expired) this.close();
    else this.#forget();
    this.onOver(expired);
  }

  #watchPage(): void {
    watchPage(this.#closing.signal, {
      network: (online) => {
        this.#client.setOnline(online);
        if (online) this.#outbox.flush();
      },
      seen: () => this.#seen(),
      left: () => this.close(),
    });
  }

  #seen(): void {
    this.#title.reset();
    this.#tabs.activate();
    this.#client.nudge();
    if (!this.#tabs.leading) this.#tabs.send({ type: "nudge" });
  }
}
