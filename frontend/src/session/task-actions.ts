import {
  isFinal,
  isLocal,
  ServiceError,
  type Task,
  type TaskOptions,
  type TaskResult,
  type TokenService,
} from "notification-api-client";
import { shallowReactive } from "vue";
import type { UserTasks } from "./user-tasks";

const NOT_NOW = "The service cannot do this right now. Try again in a moment.";
const UNREACHABLE = "The service cannot be reached. Try again.";

/** What a user can do with one task. Each action says in `notes` what came of it, where the task itself does not. */
export class TaskActions {
  /** By task key: what to tell the user beside the task. */
  readonly notes: Map<string, string> = shallowReactive(new Map());
  /** By task key: whole results that were asked for. */
  readonly results: Map<string, TaskResult> = shallowReactive(new Map());
  /** The keys of tasks of which a request is under way. */
  readonly busy: Set<string> = shallowReactive(new Set());
  readonly #tasks: UserTasks;
  readonly #service: TokenService;
  readonly #resend: (key: string) => void;

  /** `resend` sends an unsent task again. */
  constructor(tasks: UserTasks, service: TokenService, resend: (key: string) => void) {
    this.#tasks = tasks;
    this.#service = service;
    this.#resend = resend;
  }

  async cancel({ key, taskId }: Task): Promise<void> {
    if (taskId === undefined) return;
    await this.#attempt(key, async () => {
      try {
        const status = await this.#service.cancel(taskId);
        const cancelRequestedAt = status.cancelRequestedAt ?? Date.now();
        this.#tasks.change({ type: "status", status: { ...status, cancelRequestedAt, updatedAt: 0 }, at: Date.now() });
      } catch (error) {
        if (statusOf(error) !== 409) throw error;
        this.notes.set(key, "It had ended before it could be cancelled.");
        const status = await this.#service.task(taskId);
        this.#tasks.change({ type: "status", status, at: Date.now() });
      }
    });
  }

  /** Loads the whole result of a finished task. */
  async loadResult({ key, taskId }: Task): Promise<void> {
    if (taskId === undefined) return;
    await this.#attempt(key, async () => {
      this.results.set(key, await this.#service.result(taskId));
    });
  }

  /** Sends the same task again, as a new one; an unsent task itself. */
  retry(task: Task): void {
    this.notes.delete(task.key);
    if (task.state === "unsent") return this.#resend(task.key);
    const isAdded = this.#tasks.send(task.data, optionsOf(task));
    if (!isAdded) this.notes.set(task.key, "Too many tasks are waiting to be sent. Try again later.");
  }

  /** Removes a task that was not accepted. */
  remove({ key }: Task): void {
    this.notes.delete(key);
    this.#tasks.remove(key);
  }

  clear(): void {
    this.notes.clear();
    this.results.clear();
  }

  async #attempt(key: string, action: () => Promise<void>): Promise<void> {
    if (this.busy.has(key)) return;
    this.busy.add(key);
    this.notes.delete(key);
    try {
      await action();
    } catch (error) {
      this.notes.set(key, noteOf(error));
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
  return task.state === "rejected" || (isLocal(task) && task.state === "unsent");
}

function optionsOf({ type, ttlSeconds }: Task): TaskOptions {
  return { ...(type !== undefined && { type }), ...(ttlSeconds !== undefined && { ttlSeconds }) };
}

function statusOf(error: unknown): number | undefined {
  return error instanceof ServiceError ? error.status : undefined;
}

function noteOf(error: unknown): string {
  if (!(error instanceof ServiceError)) return UNREACHABLE;
  if (error.status === 410) return "The whole result is no longer kept.";
  if (error.status === 404) return "The service does not know this task any more.";
  if (error.status === 429) return "You have reached your limit. Try again in a minute.";
  return error.status >= 500 ? NOT_NOW : error.message;
}
