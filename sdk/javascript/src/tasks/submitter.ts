import { ServiceError, type SignedOutError } from "../api/errors";
import { request, type Http } from "../api/http";
import { backoffMs, RETRY } from "../internal/backoff";
import type { Clock } from "../internal/timers";
import { MAX_TRIES, triesOf, type PendingTask, type PendingTasks } from "./pending-tasks";
import { classify, isRateLimit, requestedPauseMs } from "./submission-failure";
import { taskBody } from "./task-body";

export interface SubmitterListener {
  accepted(task: PendingTask, taskId: string): void;
  /** The service will never accept it. */
  rejected(task: PendingTask, error: unknown): void;
  /** It is no longer tried, until `resend` asks for it. */
  unsent(task: PendingTask, error: unknown): void;
  /** Tasks are waiting and will be tried again. */
  delayed(error: unknown): void;
  /** A task was accepted, or none is left: there is no delay any more. */
  resumed(): void;
  signedOut(error: SignedOutError): void;
}

/** Runs one action at a time over all tabs, as the Web Locks API does. */
export type WithLock = (action: () => Promise<void>) => Promise<void>;

/** The service itself may be failing, so after this many consecutive failures there is a pause. */
const FAILURES_BEFORE_PAUSE = 3;
/** After this many consecutive pauses they grow longer, to stay below 100 requests an hour. */
const MANY_ATTEMPTS = 20;
const RETRY_AFTER_MANY = { baseMs: 1_000, capMs: 60_000 };
/** After this many consecutive transient failures of a task, the next task goes first. */
const FAILURES_BEFORE_NEXT = 2;

/** Consecutive transient failures of a task. */
interface TransientFailures {
  count: number;
  error: unknown;
}

/** A Retry-After of one task. */
interface Pause {
  timer: unknown;
  error: unknown;
}

export interface SubmitterOptions {
  http: Http;
  pending: PendingTasks;
  withLock: WithLock;
  listener: SubmitterListener;
  clock: Clock;
  random: () => number;
}

/**
 * Sends tasks to the ingest service, and keeps those that cannot be sent now, over page loads too. The tab that holds
 * the lock sends the tasks of all tabs. A task that fails lets the others go first, and is no longer tried after
 * `MAX_TRIES` failures.
 */
export class TaskSubmitter {
  /** Set during a delay. */
  #timer: unknown;
  #attempt = 0;
  #sending = false;
  /** Asked to send once more before the current run ends. */
  #again = false;
  /** Aborted by `close`. */
  #work = new AbortController();
  /** Since the last pause or accepted task. */
  #consecutiveFailures = 0;
  /** By task key, since a task was last accepted. */
  readonly #transientFailures = new Map<string, TransientFailures>();
  /** By task key. */
  readonly #pauses = new Map<string, Pause>();
  readonly #options: SubmitterOptions;
  readonly #pending: PendingTasks;
  readonly #listener: SubmitterListener;

  constructor(options: SubmitterOptions) {
    this.#options = options;
    this.#pending = options.pending;
    this.#listener = options.listener;
  }

  /** False where the limit of pending tasks is reached. During a delay the task waits with the others. */
  add(task: PendingTask): boolean {
    if (!this.#pending.add(task)) return false;
    if (this.#timer === undefined && !this.#isClosed) this.#start();
    return true;
  }

  /** Sends at once, without waiting for the end of a delay. */
  flush(): void {
    this.#endPauses();
    this.#start();
  }

  /** Sends the unsent task of this key, or all of them, with new tries; returns what it sends. */
  resend(key?: string): PendingTask[] {
    const tasks = this.#pending.unsent().filter((task) => key === undefined || task.key === key);
    for (const task of tasks) this.#pending.update({ ...task, tries: 0 });
    this.#attempt = 0;
    this.flush();
    return tasks;
  }

  /** Continues after `close`. */
  open(): void {
    if (this.#isClosed) this.#work = new AbortController();
    this.flush();
  }

  /** Stops sending. A request under way is aborted, since its task can be sent again with the same key. */
  close(): void {
    this.#work.abort();
    this.#cancelTimer();
    this.#endPauses();
  }

  get #isClosed(): boolean {
    return this.#work.signal.aborted;
  }

  #start(): void {
    this.#cancelTimer();
    this.#again = true;
    if (!this.#sending) void this.#run();
  }

  async #run(): Promise<void> {
    this.#sending = true;
    while (this.#again && !this.#isClosed) {
      this.#again = false;
      await this.#options.withLock(() => this.#sendAll()).catch((error: unknown) => this.#delay(error));
    }
    this.#sending = false;
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (!(await this.#send(next))) return;
    }
    if (this.#isClosed) return;
    this.#attempt = 0;
    const pause = this.#pending.waiting().map(({ key }) => this.#pauses.get(key))[0];
    if (pause === undefined) this.#listener.resumed();
    else this.#listener.delayed(pause.error);
  }

  /** The oldest of the tasks that have failed least. */
  #next(): PendingTask | undefined {
    if (this.#isClosed) return undefined;
    const rank = (task: PendingTask): number =>
      triesOf(task) + Math.floor((this.#transientFailures.get(task.key)?.count ?? 0) / FAILURES_BEFORE_NEXT);
    const ready = this.#pending.waiting().filter(({ key }) => !this.#pauses.has(key));
    return ready.sort((one, other) => rank(one) - rank(other))[0];
  }

  /** True where the next task can be sent at once. */
  async #send(task: PendingTask): Promise<boolean> {
    const { signal } = this.#work;
    try {
      const taskId = await this.#post(task, signal);
      if (!signal.aborted) this.#onAccepted(task, taskId);
      return !signal.aborted;
    } catch (error) {
      return signal.aborted ? false : this.#onFailure(task, error);
    }
  }

  async #post({ key, data, options }: PendingTask, signal: AbortSignal): Promise<string> {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    const body = taskBody(data, options);
    const answer = await request(this.#options.http, "task", { method: "POST", headers, body, signal });
    const { taskId } = (answer.body ?? {}) as { taskId?: unknown };
    if (typeof taskId === "string") return taskId;
    throw new ServiceError("The service's answer names no task", answer.status, { code: "not_the_api" });
  }

  #onAccepted(task: PendingTask, taskId: string): void {
    this.#attempt = 0;
    this.#consecutiveFailures = 0;
    this.#transientFailures.delete(task.key);
    this.#listener.resumed();
    this.#listener.accepted(task, taskId);
    this.#pending.remove(task);
    this.#countTransientFailures();
  }

  /** The service accepts tasks, so the other tasks' transient failures were about those tasks. */
  #countTransientFailures(): void {
    for (const task of this.#pending.waiting()) {
      const error = this.#transientFailures.get(task.key)?.error;
      if (error !== undefined && !isRateLimit(error)) this.#countTries(task, error);
    }
    this.#transientFailures.clear();
  }

  #onFailure(task: PendingTask, error: unknown): boolean {
    switch (classify(error)) {
      case "signed-out":
        this.#listener.signedOut(error as SignedOutError);
        return false;
      case "rejected":
        this.#listener.rejected(task, error);
        this.#pending.remove(task);
        return true;
      case "unsent":
        this.#countTries(task, error, MAX_TRIES);
        return true;
      case "failed":
        this.#countTries(task, error);
        this.#pause(task, error);
        this.#consecutiveFailures += 1;
        return this.#hasTaskToTryFirst(task) || this.#delayUnlessDone(error);
      case "transient": {
        const count = (this.#transientFailures.get(task.key)?.count ?? 0) + 1;
        this.#transientFailures.set(task.key, { count, error });
        return this.#delayUnlessDone(error);
      }
    }
  }

  #countTries(task: PendingTask, error: unknown, tries = 1): void {
    const counted = { ...task, tries: Math.min(MAX_TRIES, triesOf(task) + tries) };
    this.#pending.update(counted);
    if (counted.tries === MAX_TRIES) this.#listener.unsent(task, error);
  }

  /** Honours the Retry-After of an answer to this one task. */
  #pause({ key }: PendingTask, error: unknown): void {
    const ms = requestedPauseMs(error);
    if (ms === 0) return;
    const end = (): void => {
      this.#pauses.delete(key);
      if (this.#timer === undefined) this.#start();
    };
    const { clock, random } = this.#options;
    const timer = clock.setTimeout(end, backoffMs(RETRY, 0, random, ms));
    this.#pauses.set(key, { timer, error });
  }

  #endPauses(): void {
    for (const { timer } of this.#pauses.values()) this.#options.clock.clearTimeout(timer);
    this.#pauses.clear();
  }

  /** Whether there is a task that has failed no more often than this one by now. */
  #hasTaskToTryFirst(failed: PendingTask): boolean {
    const next = this.#next();
    if (next === undefined || this.#consecutiveFailures >= FAILURES_BEFORE_PAUSE) return false;
    return triesOf(next) <= triesOf(failed);
  }

  #delayUnlessDone(error: unknown): boolean {
    if (this.#next() === undefined) return true;
    this.#delay(error);
    return false;
  }

  #delay(error: unknown): void {
    if (this.#isClosed) return;
    const minMs = classify(error) === "transient" ? requestedPauseMs(error) : 0;
    const policy = this.#attempt < MANY_ATTEMPTS ? RETRY : RETRY_AFTER_MANY;
    const { clock, random } = this.#options;
    const delayMs = backoffMs(policy, this.#attempt++, random, minMs);
    this.#cancelTimer();
    this.#again = false;
    this.#consecutiveFailures = 0;
    this.#timer = clock.setTimeout(() => this.flush(), delayMs);
    this.#listener.delayed(error);
  }

  #cancelTimer(): void {
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
