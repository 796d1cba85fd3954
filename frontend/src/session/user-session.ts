import {
  NotificationApi,
  type OutboxStatus,
  type ReceivedNotification,
  type TaskOptions,
} from "notification-api-client";
import { shallowRef, type ShallowRef } from "vue";
import { endSession, idTokenOf, type User } from "../auth/cognito-session";
import { maxBodyBytesOf, type Config } from "../platform/config";
import { UserStorage, type StoredValue } from "../platform/user-storage";
import { Presentation } from "../presentation/presentation";
import { announcementOf } from "../text/task-description";
import { startClock, type Clock } from "./clock";
import { Reading } from "./reading";
import { isOutboxFull, TaskActions } from "./task-actions";

/** What a signed-in user has on this page. The package does the rest. */
export class UserSession {
  readonly api: NotificationApi;
  readonly actions: TaskActions;
  readonly reading: Reading;
  readonly presentation: Presentation;
  readonly clock: Clock;
  readonly outbox: ShallowRef<OutboxStatus>;
  /** The text that is typed and not sent. It belongs to this tab, and survives a page load. */
  readonly draft: StoredValue;
  readonly maxBodyBytes: number;
  readonly taskTypes: string[];
  readonly #config: Config;
  readonly #user: User;
  readonly #onEnded: (expired: boolean) => void;
  readonly #storages: UserStorage[];
  readonly #closing = new AbortController();

  /** `onEnded` is called once, when the session has expired or was ended in another tab; not after `signOut`. */
  constructor(config: Config, user: User, onEnded: (expired: boolean) => void) {
    this.#config = config;
    this.#user = user;
    this.#onEnded = onEnded;
    this.maxBodyBytes = maxBodyBytesOf(config);
    this.taskTypes = config.taskTypes ?? [];
    const [storage, tabStorage] = [new UserStorage(user.id, localStorage), new UserStorage(user.id, sessionStorage)];
    this.#storages = [storage, tabStorage];
    for (const each of this.#storages) each.clearOthers();
    this.draft = tabStorage.value("draft");
    this.presentation = new Presentation(storage.value("system-notifications"));
    this.clock = startClock(this.#closing.signal);
    this.api = new NotificationApi({ url: config.apiUrl, getIdToken: idTokenOf(user.id), userId: user.id });
    this.actions = new TaskActions(this.api);
    this.reading = new Reading(this.api.notifications);
    this.outbox = shallowRef(this.api.outbox.getSnapshot());
  }

  open(): void {
    const { api, outbox } = this;
    const { signal } = this.#closing;
    const stops = [
      api.outbox.subscribe(() => (outbox.value = api.outbox.getSnapshot())),
      api.on("notification", (notification) => this.#announce(notification)),
      api.on("state", (state) => {
        if (state === "signed-out") this.#onSignedOut();
      }),
    ];
    signal.addEventListener("abort", () => stops.forEach((stop) => stop()), { once: true });
    this.reading.watchPage(signal, (count) => this.presentation.showUnread(count));
  }

  /** Resolves once the task is accepted, refused or no longer tried, which the list shows; rejects if it is not kept. */
  async send(data: unknown, { type = "default", ...options }: TaskOptions): Promise<void> {
    await this.api.submit(type, data, options).catch((error: unknown) => {
      if (isOutboxFull(error)) throw error;
    });
  }

  /** Reconnects and sends all unsent tasks now. */
  retry(): void {
    this.api.tasks.resend();
    this.api.retry();
  }

  /** Ends the session in all tabs. The other tabs are notified once no token is left. */
  async signOut(): Promise<void> {
    this.close(); // that the tokens are gone must not end the session a second time
    await endSession(this.#user.id, this.#config);
    await this.api.signOut();
    this.#clear();
  }

  close(): void {
    this.#closing.abort();
    this.presentation.close();
  }

  #clear(): void {
    this.presentation.clear();
    this.actions.clear();
    for (const each of this.#storages) each.clear();
  }

  /** In another tab, or since the id token was refused: then what is stored is kept. */
  #onSignedOut(): void {
    const expired = this.api.connection.getSnapshot().error?.code === "signed_out";
    this.close();
    if (!expired) this.#clear();
    this.#onEnded(expired);
  }

  #announce({ announce, taskId, status }: ReceivedNotification): void {
    const task = this.api.tasks.get(taskId);
    if (!announce || status === "progress" || task === undefined) return;
    this.presentation.announce({ key: task.key, status, ...announcementOf(task) });
  }
}
