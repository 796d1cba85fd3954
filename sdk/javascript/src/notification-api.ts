import type { ClientError } from "./api/errors";
import type { TaskResult, TaskStatus } from "./api/task-status";
import type { ConnectionState } from "./connection/state-machine";
import { Emitter } from "./internal/emitter";
import { ValueStore, type Store } from "./internal/store";
import type { Notification, ReceivedNotification } from "./notifications/notification";
import type { NotificationApiOptions } from "./options";
import type { Task } from "./tasks/task";

export interface ConnectionStatus {
  state: ConnectionState;
  /** Why there is no connection, where that is known. */
  error: ClientError | null;
  /** Since when the state is this one, in epoch milliseconds. */
  since: number;
}

export interface NotificationList {
  /** The ends of the listed tasks, the newest first. */
  items: readonly Notification[];
  /** How many of them are newer than `readUntil`. */
  unread: number;
  /** Until when the user has read them, in epoch milliseconds. */
  readUntil: number;
}

export interface SubmitOptions {
  /** Default: a random one. With the same key the service makes the same task of it for 24 hours. */
  idempotencyKey?: string;
  /** 0 to 900: how long the task waits before it may start. */
  delaySeconds?: number;
  /** 1 to 86,400: how long after that the task may start. */
  ttlSeconds?: number;
  /** Aborting it withdraws the task, unless it is accepted already. */
  signal?: AbortSignal;
}

export interface SubmittedTask {
  taskId: string;
  /** The Idempotency-Key. */
  key: string;
}

export interface NotificationApiEvents {
  notification: ReceivedNotification;
  state: ConnectionState;
  error: ClientError;
}

/** The tasks of the user, the newest first. */
export interface Tasks extends Store<readonly Task[]> {
  /** The task of this task id or key. */
  get(id: string): Task | undefined;
  /** Follows the task of this id or key. While it is watched and unknown, the service is asked for it. */
  watch(id: string): Store<Task | undefined>;
  /** Sends the unsent task of this key, or all of them, again. */
  resend(key?: string): void;
  /** Withdraws a task that is not accepted yet, and removes it from the list. */
  remove(key: string): void;
}

/** One signed-in user's tasks and notifications. See the package's README. */
export class NotificationApi {
  readonly connection: Store<ConnectionStatus> = new ValueStore<ConnectionStatus>({
    state: "idle",
    error: null,
    since: 0,
  });
  declare readonly tasks: Tasks;
  declare readonly notifications: Store<NotificationList> & { markRead(until?: number): void };
  readonly #emitter = new Emitter<NotificationApiEvents>();

  /** Opens nothing, and touches no API of the browser. */
  constructor(options: NotificationApiOptions) {
    void options;
    throw new Error("Not implemented");
  }

  /** Opens the tabs' connection and the stream. Idempotent. */
  start(): void {}

  /** Closes everything; `start` continues from there. Idempotent. */
  stop(): void {}

  /** Starts, and returns a function that stops: 2 s after the last of all mounts has ended. */
  mount(): () => void {
    return () => undefined;
  }

  /** Ends the session in all tabs and clears what is stored. This object cannot be started again. */
  async signOut(): Promise<void> {}

  /** Returns a function that removes the listener. */
  on<K extends keyof NotificationApiEvents>(name: K, listener: (value: NotificationApiEvents[K]) => void): () => void {
    return this.#emitter.on(name, listener);
  }

  /** Sends a task, over page loads too, until the service has accepted or refused it. `data` is any JSON but null. */
  submit(type: string, data: unknown, options: SubmitOptions = {}): Promise<SubmittedTask> {
    return Promise.reject(new Error(`Not implemented: ${type} ${String(data)} ${String(options)}`));
  }

  task(taskId: string, options: { signal?: AbortSignal } = {}): Promise<TaskStatus> {
    return Promise.reject(new Error(`Not implemented: ${taskId} ${String(options)}`));
  }

  /** The whole result of a finished task, which may be longer than a notification. */
  result(taskId: string): Promise<TaskResult> {
    return Promise.reject(new Error(`Not implemented: ${taskId}`));
  }

  /** Asks for the task to be cancelled. */
  cancel(taskId: string): Promise<TaskStatus> {
    return Promise.reject(new Error(`Not implemented: ${taskId}`));
  }
}
