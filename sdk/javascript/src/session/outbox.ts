import {
  fromErrorData,
  NetworkError,
  NotificationError,
  toErrorData,
  type ErrorData,
  type SignedOutError,
} from "../api/errors";
import { randomKey } from "../internal/random-key";
import { isUnsent } from "../tasks/pending-tasks";
import { TaskSubmitter, type SubmitterListener } from "../tasks/submitter";
import type { Task, TaskOptions } from "../tasks/task";
import type { TaskList } from "../tasks/task-list";
import type { TaskChange } from "../tasks/task-store";
import type { SessionContext } from "./context";
import { SENDING } from "./state";
import type { UserTasks } from "./user-tasks";

export interface SubmitOptions extends Omit<TaskOptions, "type"> {
  /** Default: a random one. With the same key the service makes the same task of it for 24 hours. */
  idempotencyKey?: string;
  /** Aborting it withdraws the task, unless it is accepted already. A request that is under way may still arrive. */
  signal?: AbortSignal;
}

export interface SubmittedTask {
  taskId: string;
  /** The Idempotency-Key. */
  key: string;
}

interface Waiting {
  resolve: (task: SubmittedTask) => void;
  reject: (reason: unknown) => void;
}

/**
 * The tasks that are to be sent, and the promises of their senders. A promise settles by what the list says of its
 * task, so it does not matter which tab has sent it.
 */
export class Outbox {
  /** By task key. */
  readonly #waiting = new Map<string, Set<Waiting>>();
  #lastTime = 0;
  readonly #submitter: TaskSubmitter;
  readonly #context: SessionContext;
  readonly #tasks: UserTasks;

  constructor(context: SessionContext, tasks: UserTasks, onSignedOut: (error: SignedOutError) => void) {
    this.#context = context;
    this.#tasks = tasks;
    const withLock = (action: () => Promise<void>): Promise<void> => context.tabs.withLock("submit", action);
    this.#submitter = new TaskSubmitter({ ...context, withLock, listener: this.#listener(onSignedOut) });
    this.#list.subscribe(() => this.#settle());
  }

  /** Lists what is still to be sent. The saved list may be a moment older than the saved pending tasks. */
  load(): void {
    for (const task of this.#context.pending.all()) {
      const { key } = task;
      this.#list.apply({ type: "added", ...task });
      const isListedUnsent = this.#list.get(key)?.state === "unsent";
      if (isUnsent(task) && !isListedUnsent) this.#list.apply({ type: "unsent", key, at: this.#nextTime() });
      if (!isUnsent(task) && isListedUnsent) this.#list.apply({ type: "retried", key, at: this.#nextTime() });
    }
  }

  /** Settles once the service has accepted or refused the task, or it is no longer tried. */
  async submit(type: string, data: unknown, options: SubmitOptions): Promise<SubmittedTask> {
    const { idempotencyKey: key = randomKey(), signal, ...rest } = options;
    signal?.throwIfAborted();
    const accepted = this.#waitFor(key, signal);
    this.#add(key, data, { ...(type !== "default" && { type }), ...rest });
    return accepted;
  }

  /** Sends the unsent task of this key, or all of them, again; false where this tab has none. */
  resend(key?: string): boolean {
    const tasks = this.#submitter.resend(key);
    for (const task of tasks) this.#tasks.change({ type: "retried", key: task.key, at: this.#nextTime() });
    return tasks.length > 0;
  }

  open(): void {
    this.#submitter.open();
  }

  /** Sends at once, without waiting for the end of a delay. */
  flush(): void {
    this.#submitter.flush();
  }

  close(): void {
    this.#submitter.close();
  }

  /** The session has ended: nothing is sent any more. */
  rejectAll(error: NotificationError): void {
    for (const { reject } of [...this.#waiting.values()].flatMap((waiting) => [...waiting])) reject(error);
    this.#waiting.clear();
  }

  get #list(): TaskList {
    return this.#context.state.tasks;
  }

  #listener(signedOut: (error: SignedOutError) => void): SubmitterListener {
    const { clock, state } = this.#context;
    const change = (taskChange: TaskChange): void => this.#tasks.change(taskChange);
    return {
      accepted: ({ key }, taskId) => change({ type: "accepted", key, taskId, at: clock.now() }),
      rejected: ({ key }, error) => change({ type: "rejected", key, error: toErrorData(error), at: clock.now() }),
      unsent: ({ key }, error) => change({ type: "unsent", key, error: toErrorData(error), at: this.#nextTime() }),
      delayed: (error) => this.#onDelayed(toErrorData(error)),
      resumed: () => state.outbox.set(SENDING),
      signedOut,
    };
  }

  /** A task that was sent with this key before is not sent a second time. */
  #add(key: string, data: unknown, options: TaskOptions): void {
    const known = this.#list.get(key);
    if (known?.state === "unsent") return void this.resend(key);
    if (known !== undefined && known.state !== "rejected") return this.#settle();
    if (known !== undefined) this.#tasks.change({ type: "removed", key });
    const task = { key, data, options, at: this.#nextTime() };
    this.#tasks.change({ type: "added", ...task });
    if (this.#submitter.add(task)) return;
    const error = new NotificationError("outbox_full", "Too many tasks wait to be sent", { retryable: true });
    this.#end(key, ({ reject }) => reject(error));
    this.#tasks.change({ type: "removed", key });
  }

  #waitFor(key: string, signal: AbortSignal | undefined): Promise<SubmittedTask> {
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      this.#waiting.set(key, (this.#waiting.get(key) ?? new Set()).add(waiting));
      const withdraw = (): void => {
        if (!this.#waiting.get(key)?.has(waiting)) return;
        this.#end(key, (each) => each.reject(signal?.reason));
        this.#tasks.change({ type: "removed", key });
      };
      signal?.addEventListener("abort", withdraw, { once: true });
    });
  }

  #settle(): void {
    for (const key of [...this.#waiting.keys()]) this.#settleOne(key, this.#list.map.get(key));
  }

  #settleOne(key: string, task: Task | undefined): void {
    const taskId = task?.taskId;
    if (taskId !== undefined) return this.#end(key, ({ resolve }) => resolve({ taskId, key }));
    if (task === undefined)
      return this.#end(key, ({ reject }) => reject(new NotificationError("removed", "The task was removed")));
    const { submissionError, state } = task;
    if (state === "pending") return;
    const error = submissionError === undefined ? new NetworkError(undefined) : fromErrorData(submissionError);
    this.#end(key, ({ reject }) => reject(error));
  }

  #end(key: string, settle: (waiting: Waiting) => void): void {
    for (const waiting of this.#waiting.get(key) ?? []) settle(waiting);
    this.#waiting.delete(key);
  }

  /** The status stays the same while errors of one kind are repeated. */
  #onDelayed(error: ErrorData): void {
    const { memoryOnly } = this.#context.pending;
    const { value } = this.#context.state.outbox;
    const isSameKind = value.error?.code === error.code && value.error.status === error.status;
    if (!isSameKind || value.memoryOnly !== memoryOnly) this.#context.state.outbox.set({ error, memoryOnly });
  }

  /** Tasks that are sent together keep their order. */
  #nextTime(): number {
    return (this.#lastTime = Math.max(this.#context.clock.now(), this.#lastTime + 1));
  }
}
