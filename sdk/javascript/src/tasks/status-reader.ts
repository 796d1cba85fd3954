import { ServiceError } from "../api/errors";
import type { TokenService } from "../api/token-service";
import type { TaskStatus } from "../api/task-status";
import { backoffMs } from "../internal/backoff";
import { SYSTEM_CLOCK, type Clock } from "../internal/timers";
import { isActive, type Task } from "./task";

const CONCURRENCY = 4;
/** In one round: more are asked for in the next one, the newest first. */
const MAX_A_ROUND = 50;
const BACKOFF = { baseMs: 1_000, capMs: 15_000 };
/** The service keeps what it knows of a task for a day. */
export const KEPT_MS = 86_400_000;

export interface StatusListener {
  status(status: TaskStatus): void;
  /** The service knows the task no longer, and its notifications are no longer kept. */
  forgotten(task: Task): void;
}

/**
 * Asks for the status of active tasks: of each task once, and repeatedly with backoff only while no connection brings
 * notifications.
 */
export class StatusReader {
  #isRunning = false;
  #isDelivering = false;
  #isAsking = false;
  #round = 0;
  #timer: unknown;
  #work = new AbortController();
  readonly #asked = new Set<string>();
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
    { clock = SYSTEM_CLOCK, random = Math.random }: { clock?: Clock; random?: () => number } = {},
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
    if (!signal.aborted && (!this.#isDelivering || this.#tasksToAsk().length > 0)) this.#schedule();
  }

  async #askForAll(signal: AbortSignal): Promise<void> {
    const tasks = this.#tasksToAsk();
    const ask = async (): Promise<void> => {
      for (let task = tasks.shift(); task !== undefined && !signal.aborted; task = tasks.shift())
        await this.#askFor(task, signal);
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, ask));
  }

  #tasksToAsk(): Task[] {
    const active = this.#activeTasks().filter(isActive);
    const unasked = active.filter(({ key }) => !this.#asked.has(key));
    const again = this.#isDelivering ? [] : active.filter(({ key }) => this.#asked.has(key));
    return [...unasked, ...again].slice(0, MAX_A_ROUND);
  }

  async #askFor(task: Task, signal: AbortSignal): Promise<void> {
    try {
      const status = await this.#service.task(task.taskId ?? task.key, signal);
      this.#asked.add(task.key);
      if (!signal.aborted) this.#listener.status(status);
    } catch (error) {
      if (signal.aborted || !(error instanceof ServiceError) || error.status !== 404) return;
      this.#asked.add(task.key);
      if (this.#clock.now() - task.sentAt > KEPT_MS) this.#listener.forgotten(task);
    }
  }

  #schedule(): void {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => void this.#ask(), backoffMs(BACKOFF, this.#round++, this.#random));
  }
}
