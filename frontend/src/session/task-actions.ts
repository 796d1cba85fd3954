import {
  isActive,
  isFinal,
  NotificationError,
  ServiceError,
  type NotificationApi,
  type Task,
  type TaskResult,
} from "notification-api-client";
import { shallowReactive } from "vue";
import { UNREACHABLE } from "../text/status-text";

const NOT_NOW = "The service cannot do this right now. Try again in a moment.";
const SENT_AGAIN = "Sent again as a new task.";
/** Each may be 512 KiB long. */
const MAX_RESULTS = 10;

export interface Note {
  text: string;
  /** It is about an action that is possible only before the task's end. */
  isForActiveTask?: boolean;
}

/** What a user can do with one task. Each action adds a note with its outcome, unless the task itself shows it. */
export class TaskActions {
  /** By task key: the note that is shown with the task. */
  readonly notes: Map<string, Note> = shallowReactive(new Map());
  /** By task key: the latest whole results that were asked for. */
  readonly results: Map<string, TaskResult> = shallowReactive(new Map());
  /** The keys of tasks of which a request is under way. */
  readonly busy: Set<string> = shallowReactive(new Set());
  /** The keys of tasks that were sent again as new tasks. */
  readonly retried: Set<string> = shallowReactive(new Set());
  readonly #api: NotificationApi;

  constructor(api: NotificationApi) {
    this.#api = api;
  }

  noteOf(task: Task): string | undefined {
    const note = this.notes.get(task.key);
    return note?.isForActiveTask && !isActive(task) ? undefined : note?.text;
  }

  async cancel({ key, taskId }: Task): Promise<void> {
    if (taskId === undefined) return;
    const action = async (): Promise<void> => {
      try {
        await this.#api.cancel(taskId);
      } catch (error) {
        if (!(error instanceof ServiceError && error.status === 409)) throw error;
        this.notes.set(key, { text: "It had ended before it could be cancelled." });
      }
    };
    await this.#attempt(key, action, true);
  }

  /** Loads the whole result of a finished task. */
  async loadResult({ key, taskId }: Task): Promise<void> {
    if (taskId === undefined) return;
    await this.#attempt(key, async () => {
      this.results.set(key, await this.#api.result(taskId));
      for (const oldest of [...this.results.keys()].slice(0, -MAX_RESULTS)) this.results.delete(oldest);
    });
  }

  /** Sends the same task again, once and as a new one; an unsent task itself. */
  retry(task: Task): void {
    const { key } = task;
    this.#forgetRemoved();
    if (this.retried.has(key)) return;
    this.notes.delete(key);
    if (task.state === "unsent") return this.#api.tasks.resend(key);
    this.retried.add(key);
    this.notes.set(key, { text: SENT_AGAIN });
    const { type = "default", data, ttlSeconds } = task;
    this.#api.submit(type, data, { ...(ttlSeconds !== undefined && { ttlSeconds }) }).catch((error: unknown) => {
      if (!isOutboxFull(error)) return; // the new task shows the error
      this.retried.delete(key);
      this.notes.set(key, { text: "Too many tasks are waiting to be sent. Try again later." });
    });
  }

  /** Removes a task that was not accepted. */
  remove({ key }: Task): void {
    this.#api.tasks.remove(key);
    this.#forgetRemoved();
  }

  clear(): void {
    this.notes.clear();
    this.results.clear();
    this.retried.clear();
  }

  /** Another tab may have removed a task, or the list may have grown too long. */
  #forgetRemoved(): void {
    for (const keys of [this.notes, this.results, this.retried])
      for (const key of [...keys.keys()]) if (this.#api.tasks.get(key) === undefined) keys.delete(key);
  }

  async #attempt(key: string, action: () => Promise<void>, isForActiveTask = false): Promise<void> {
    this.#forgetRemoved();
    if (this.busy.has(key)) return;
    this.busy.add(key);
    this.notes.delete(key);
    try {
      await action();
    } catch (error) {
      this.notes.set(key, { text: noteTextOf(error), isForActiveTask });
    } finally {
      this.busy.delete(key);
    }
  }
}

/** Whether the same task can be sent again: it has ended otherwise than finished, and its data is known as a whole. */
export function canRetry(task: Task): boolean {
  if (task.state === "unsent") return true;
  const hasEnded = (isFinal(task) && task.state !== "finished") || task.state === "unknown";
  return hasEnded && task.data !== undefined;
}

export function canRemove(task: Task): boolean {
  return task.state === "rejected" || task.state === "unsent";
}

/** Too many tasks wait to be sent, so that the one more is not kept. */
export function isOutboxFull(error: unknown): boolean {
  return error instanceof NotificationError && error.code === "outbox_full";
}

function noteTextOf(error: unknown): string {
  if (!(error instanceof ServiceError)) return `${UNREACHABLE} Try again.`;
  if (error.status === 410) return "The whole result is no longer kept.";
  if (error.status === 404) return "The service does not know this task any more.";
  if (error.status === 429) return "You have reached your limit. Try again in a minute.";
  return error.status >= 500 ? NOT_NOW : error.message;
}
