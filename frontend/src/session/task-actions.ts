import {
  isActive,
  isFinal,
  ServiceError,
  type Task,
  type TaskOptions,
  type TaskResult,
  type TokenService,
} from "notification-api-client";
import { shallowReactive } from "vue";
import { UNREACHABLE } from "../text/status-text";
import type { UserTasks } from "./user-tasks";

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
  readonly #tasks: UserTasks;
  readonly #service: TokenService;
  readonly #resend: (key: string) => void;

  /** `resend` sends an unsent task again. */
  constructor(tasks: UserTasks, service: TokenService, resend: (key: string) => void) {
    this.#tasks = tasks;
    this.#service = service;
    this.#resend = resend;
  }

  noteOf(task: Task): string | undefined {
    const note = this.notes.get(task.key);
    return note?.isForActiveTask && !isActive(task) ? undefined : note?.text;
  }

  async cancel({ key, taskId }: Task): Promise<void> {
    if (taskId === undefined) return;
    const action = async (): Promise<void> => {
      try {
        const status = await this.#service.cancel(taskId);
        const cancelRequestedAt = status.cancelRequestedAt ?? Date.now();
        this.#tasks.change({ type: "status", status: { ...status, cancelRequestedAt, updatedAt: 0 }, at: Date.now() });
      } catch (error) {
        if (statusOf(error) !== 409) throw error;
        this.notes.set(key, { text: "It had ended before it could be cancelled." });
        const status = await this.#service.task(taskId);
        this.#tasks.change({ type: "status", status, at: Date.now() });
      }
    };
    await this.#attempt(key, action, true);
  }

  /** Loads the whole result of a finished task. */
  async loadResult({ key, taskId }: Task): Promise<void> {
    if (taskId === undefined) return;
    await this.#attempt(key, async () => {
      this.results.set(key, await this.#service.result(taskId));
      for (const oldest of [...this.results.keys()].slice(0, -MAX_RESULTS)) this.results.delete(oldest);
    });
  }

  /** Sends the same task again, once and as a new one; an unsent task itself. */
  retry(task: Task): void {
    const { key } = task;
    this.#forgetRemoved();
    if (this.retried.has(key)) return;
    this.notes.delete(key);
    if (task.state === "unsent") return this.#resend(key);
    const isAdded = this.#tasks.send(task.data, optionsOf(task));
    if (isAdded) this.retried.add(key);
    this.notes.set(key, { text: isAdded ? SENT_AGAIN : "Too many tasks are waiting to be sent. Try again later." });
  }

  /** Removes a task that was not accepted. */
  remove({ key }: Task): void {
    this.#tasks.remove(key);
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
      for (const key of [...keys.keys()]) if (!this.#tasks.store.has(key)) keys.delete(key);
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

function optionsOf({ type, ttlSeconds }: Task): TaskOptions {
  return { ...(type !== undefined && { type }), ...(ttlSeconds !== undefined && { ttlSeconds }) };
}

function statusOf(error: unknown): number | undefined {
  return error instanceof ServiceError ? error.status : undefined;
}

function noteTextOf(error: unknown): string {
  if (!(error instanceof ServiceError)) return `${UNREACHABLE} Try again.`;
  if (error.status === 410) return "The whole result is no longer kept.";
  if (error.status === 404) return "The service does not know this task any more.";
  if (error.status === 429) return "You have reached your limit. Try again in a minute.";
  return error.status >= 500 ? NOT_NOW : error.message;
}
