import { NotificationError, retryAfterOf, statusOf } from "../api/errors";
import type { TokenService } from "../api/token-service";
import type { TaskStatus } from "../api/task-status";
import { backoffMs, RETRY } from "../internal/backoff";
import type { Clock } from "../internal/timers";
import { isActive, type Task } from "./task";

const CONCURRENCY = 4;
/** In one round: more are asked for in the next one. */
const MAX_A_ROUND = 50;
/** How often old tasks are asked for while a connection brings notifications. */
const OLD_TASKS_MS = 3_600_000;
/** The service keeps what it knows of a task for a day. */
export const KEPT_MS = 86_400_000;

export interface StatusListener {
  status(status: TaskStatus): void;
  /** The service no longer knows the task, and its notifications are no longer kept. */
  forgotten(task: Task): void;
}

/**
 * Asks for the status of active tasks: of each task once, and repeatedly with backoff only while no connection brings
 * notifications. Tasks older than a day are also asked for again while one does: their end may be lost.
 */
export class StatusReader {
  #isRunning = false;
  #isDelivering = false;
  #isAsking = false;
  #round = 0;
  #timer: unknown;
  #work = new AbortController();
  /** The service has asked for a pause until then, in epoch milliseconds. */
  #pausedUntil = 0;
  /** By task key: when the service last answered, in epoch milliseconds. */
  readonly #askedAt = new Map<string, number>();
  readonly #service: TokenService;
  readonly #activeTasks: () => Task[];
  readonly #listener: StatusListener;
  readonly #clock: Clock;
  readonly #random: () => number;

  /** `activeTasks` returns those that have not ended, the newest first. */
  constructor(
    service: TokenService,
    activeTasks: () => Task[],
    listener: StatusListener,
    { clock, random }: { clock: Clock; random: () => number },
  ) {
    this.#service = service;
    this.#activeTasks = activeTasks;
    this.#listener = listener;
    this.#clock = clock;
    this.#random = random;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#work = new AbortController();
    void this.#ask();
  }

  stop(): void {
    this.#isRunning = false;
    this.#work.abort();
    this.#clock.clearTimeout(this.#timer);
  }

  /** Whether a connection brings notifications. */
  setDelivering(isDelivering: boolean): void {
    if (isDelivering === this.#isDelivering) return;
    this.#isDelivering = isDelivering;
    this.#round = 0;
    if (!isDelivering && this.#isRunning) this.#schedule();
  }

  async #ask(): Promise<void> {
    const { signal } = this.#work;
    if (this.#isAsking) return;
    this.#isAsking = true;
    await this.#askForAll(signal);
    this.#isAsking = false;
    if (this.#isRunning) this.#schedule();
  }

  async #askForAll(signal: AbortSignal): Promise<void> {
    const tasks = this.#tasksToAsk();
    const ask = async (): Promise<void> => {
      for (let task = tasks.shift(); task !== undefined && !signal.aborted; task = tasks.shift()) {
        await this.#askFor(task, signal);
        if (this.#isPaused()) return;
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, ask));
  }

  /** Those that were not asked for, the newest first, then those asked for longest ago. */
  #tasksToAsk(): Task[] {
    const active = this.#activeTasks().filter(isActive);
    const unasked = active.filter(({ key }) => !this.#askedAt.has(key));
    const again = active.filter((task) => this.#isToBeAskedAgain(task));
    again.sort((one, other) => this.#lastAskedAt(one) - this.#lastAskedAt(other));
    return [...unasked, ...again].slice(0, MAX_A_ROUND);
  }

  #isToBeAskedAgain(task: Task): boolean {
    if (!this.#askedAt.has(task.key)) return false;
    const isDue = this.#clock.now() - this.#lastAskedAt(task) >= OLD_TASKS_MS;
    return !this.#isDelivering || (this.#isOld(task) && isDue);
  }

  #lastAskedAt({ key }: Task): number {
    return this.#askedAt.get(key) ?? 0;
  }

  #isOld({ sentAt }: Task): boolean {
    return this.#clock.now() - sentAt > KEPT_MS;
  }

  #isPaused(): boolean {
    return this.#clock.now() < this.#pausedUntil;
  }

  async #askFor(task: Task, signal: AbortSignal): Promise<void> {
    try {
      const status = await this.#service.task(task.taskId ?? task.key, signal);
      if (signal.aborted) return;
      this.#askedAt.set(task.key, this.#clock.now());
      const isPresumed = status.status === "queued" && status.updatedAt === 0; // nothing is known but the id
      if (isPresumed && this.#isOld(task)) return this.#listener.forgotten(task);
      this.#listener.status(status);
    } catch (error) {
      if (!signal.aborted) this.#onError(task, error);
    }
  }

  #onError(task: Task, error: unknown): void {
    const status = statusOf(error);
    if (status === 429 || status === 503) {
      this.#pausedUntil = Math.max(this.#pausedUntil, this.#clock.now() + (retryAfterOf(error) ?? RETRY.baseMs));
      return;
    }
    if (isAnswer(error)) this.#askedAt.set(task.key, this.#clock.now());
    if (status === 404 && this.#isOld(task)) this.#listener.forgotten(task);
  }

  #schedule(): void {
    this.#clock.clearTimeout(this.#timer);
    const isIdle = this.#isDelivering && this.#tasksToAsk().length === 0;
    const delayMs = isIdle ? OLD_TASKS_MS : backoffMs(RETRY, this.#round++, this.#random);
    const pauseMs = this.#pausedUntil - this.#clock.now();
    this.#timer = this.#clock.setTimeout(() => void this.#ask(), Math.max(delayMs, pauseMs));
  }
}

/** Whether asking again would bring the same: a refusal, or an answer that cannot be read. */
function isAnswer(error: unknown): boolean {
  const status = statusOf(error);
  return (status >= 400 && status < 500) || (error instanceof NotificationError && error.code === "not_the_api");
}
