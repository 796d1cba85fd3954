import { backoffMs, request, ServiceError, SignedOutError, type Http } from "../client";
import { MAX_TRIES, triesOf, type Letter, type Letters } from "./letters";
import { taskBody } from "./task-body";

export interface OutboxListener {
  accepted(letter: Letter, taskId: string): void;
  /** The service will never take it. */
  refused(letter: Letter, reason: string): void;
  /** It was stepped over, and is sent again only when `resend` asks for it. */
  unsent(letter: Letter, error: unknown): void;
  /** Letters are waiting, and will be tried again. */
  delayed(error: unknown): void;
  /** Something was sent, or nothing is left to send: whatever was delaying has passed. */
  flowing(): void;
  signedOut(): void;
}

/** Runs one action at a time over all tabs: the Web Locks API, or a stand-in. */
export type Exclusively = (action: () => Promise<void>) => Promise<void>;

const RETRY = { baseMs: 1_000, capMs: 15_000 };
/** So many tasks may fail one after the other before there is a pause: it may be the service that fails. */
const FAILURES_A_PAUSE = 3;
/** After so many pauses in a row they grow longer: fewer than 100 an hour. */
const MANY_ATTEMPTS = 20;
const RETRY_AFTER_MANY = { baseMs: 1_000, capMs: 60_000 };
/** How long a Retry-After is kept at most: a longer one is mostly a mistake, and people wait for their tasks. */
const MAX_PAUSE_MS = 300_000;
/** So many failures in a row that say nothing about the task itself, and the next one has its turn. */
const FAILURES_A_TURN = 2;

/** Failures of a letter that may be the network's or the service's. */
interface Failures {
  count: number;
  error: unknown;
}

/** A letter waits by itself, since the answer to it asked for that. */
interface Pause {
  timer: ReturnType<typeof setTimeout>;
  error: unknown;
}

/**
 * Sends tasks, and keeps those that cannot be sent now, over page loads too. Whichever tab holds the lock
 * sends what any of them has put in. A task that fails lets the others go first, and is stepped over after
 * `MAX_TRIES` failures.
 */
export class Outbox {
  /** Runs while something delays. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #sending = false;
  /** To be looked at once more before this sending ends. */
  #again = false;
  #closed = false;
  /** Answers that were failures, since the last pause. */
  #failedInARow = 0;
  /** By letter, since something was last accepted. */
  readonly #failures = new Map<string, Failures>();
  /** By letter. */
  readonly #pauses = new Map<string, Pause>();

  constructor(
    private readonly http: Http,
    private readonly taskUrl: string,
    private readonly letters: Letters,
    private readonly exclusively: Exclusively,
    private readonly listener: OutboxListener,
  ) {}

  /** False where no more can be kept. What is delaying all other letters delays this one. */
  add(letter: Letter): boolean {
    if (!this.letters.add(letter)) return false;
    if (this.#timer === undefined) this.#start();
    return true;
  }

  /** Sends now what is there, whatever was delaying. */
  flush(): void {
    this.#endPauses();
    this.#start();
  }

  /** Gives new tries to what was stepped over, or to one of it, and returns that. */
  resend(key?: string): Letter[] {
    const letters = this.letters.unsent().filter((letter) => key === undefined || letter.key === key);
    for (const letter of letters) this.letters.update({ ...letter, tries: 0 });
    this.#attempt = 0;
    this.flush();
    return letters;
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
    this.#endPauses();
  }

  #start(): void {
    this.#cancel();
    this.#again = true;
    if (!this.#sending) void this.#sendWhileAsked();
  }

  async #sendWhileAsked(): Promise<void> {
    this.#sending = true;
    while (this.#again && !this.#closed) {
      this.#again = false;
      await this.exclusively(() => this.#sendAll()).catch((error: unknown) => this.#delay(error));
    }
    this.#sending = false;
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (!(await this.#send(next))) return;
    }
    if (this.#closed) return;
    this.#attempt = 0;
    const pause = this.letters.waiting().map(({ key }) => this.#pauses.get(key))[0];
    if (pause === undefined) this.listener.flowing();
    else this.listener.delayed(pause.error);
  }

  /** The oldest of those that have failed least. */
  #next(): Letter | undefined {
    if (this.#closed) return undefined;
    const turn = (letter: Letter): number =>
      triesOf(letter) + Math.floor((this.#failures.get(letter.key)?.count ?? 0) / FAILURES_A_TURN);
    const ready = this.letters.waiting().filter(({ key }) => !this.#pauses.has(key));
    return ready.sort((one, other) => turn(one) - turn(other))[0];
  }

  /** True when the next one can be sent at once. */
  async #send(letter: Letter): Promise<boolean> {
    try {
      const taskId = await this.#post(letter);
      if (!this.#closed) this.#accepted(letter, taskId);
      return true;
    } catch (error) {
      return this.#closed ? false : this.#failed(letter, error);
    }
  }

  async #post({ key, data }: Letter): Promise<string> {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    const answer = await request(this.http, this.taskUrl, { method: "POST", headers, body: taskBody(data) });
    const taskId = await readTaskId(answer);
    if (taskId !== null) return taskId;
    throw new ServiceError("The service's answer names no task", answer.status, undefined, undefined);
  }

  #accepted(letter: Letter, taskId: string): void {
    this.#attempt = 0;
    this.#failedInARow = 0;
    this.#failures.delete(letter.key);
    this.listener.flowing();
    this.listener.accepted(letter, taskId);
    this.letters.remove(letter);
    this.#countFailuresOfOthers();
  }

  /** The service takes tasks: what failed at the same time did so for a reason of its own. */
  #countFailuresOfOthers(): void {
    for (const letter of this.letters.waiting()) {
      const error = this.#failures.get(letter.key)?.error;
      if (error !== undefined && !isAboutTheUser(error)) this.#count(letter, error);
    }
    this.#failures.clear();
  }

  #failed(letter: Letter, error: unknown): boolean {
    switch (meaningOf(error)) {
      case "signed out":
        this.listener.signedOut();
        return false;
      case "refused":
        this.listener.refused(letter, error instanceof Error ? error.message : String(error));
        this.letters.remove(letter);
        return true;
      case "unsent":
        this.#count(letter, error, MAX_TRIES);
        return true;
      case "failed":
        this.#count(letter, error);
        this.#pause(letter, error);
        this.#failedInARow += 1;
        return this.#othersComeFirst(letter) || this.#wait(error);
      case "unknown":
        this.#failures.set(letter.key, { count: (this.#failures.get(letter.key)?.count ?? 0) + 1, error });
        return this.#wait(error);
    }
  }

  #count(letter: Letter, error: unknown, tries = 1): void {
    const counted = { ...letter, tries: Math.min(MAX_TRIES, triesOf(letter) + tries) };
    this.letters.update(counted);
    if (counted.tries === MAX_TRIES) this.listener.unsent(letter, error);
  }

  /** Keeps the pause that an answer to this one task asks for. */
  #pause({ key }: Letter, error: unknown): void {
    const ms = askedPauseMs(error);
    if (ms === 0) return;
    const end = (): void => {
      this.#pauses.delete(key);
      if (this.#timer === undefined) this.#start();
    };
    const timer = setTimeout(end, backoffMs(RETRY, 0, Math.random, ms));
    this.#pauses.set(key, { timer, error });
  }

  #endPauses(): void {
    for (const { timer } of this.#pauses.values()) clearTimeout(timer);
    this.#pauses.clear();
  }

  /** There are tasks that have failed less often than this one by now. */
  #othersComeFirst(failed: Letter): boolean {
    const next = this.#next();
    return next !== undefined && this.#failedInARow < FAILURES_A_PAUSE && triesOf(next) <= triesOf(failed);
  }

  #wait(error: unknown): boolean {
    if (this.#next() === undefined) return true;
    this.#delay(error);
    return false;
  }

  #delay(error: unknown): void {
    if (this.#closed) return;
    const floorMs = meaningOf(error) === "unknown" ? askedPauseMs(error) : 0;
    const policy = this.#attempt < MANY_ATTEMPTS ? RETRY : RETRY_AFTER_MANY;
    const retryInMs = backoffMs(policy, this.#attempt++, Math.random, floorMs);
    this.#cancel();
    this.#again = false;
    this.#failedInARow = 0;
    this.#timer = setTimeout(() => this.flush(), retryInMs);
    this.listener.delayed(error);
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Null where the body is not what the service answers, as of a proxy's page. */
async function readTaskId(answer: Response): Promise<string | null> {
  try {
    const body = (await answer.json()) as { taskId?: unknown } | null;
    return typeof body?.taskId === "string" ? body.taskId : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error; // the network broke off
  }
}

/** Zero where the service asks for none. */
function askedPauseMs(error: unknown): number {
  return error instanceof ServiceError ? Math.min(MAX_PAUSE_MS, error.retryAfterMs ?? 0) : 0;
}

/** What makes a task be refused, however often it is sent. */
const REFUSALS = new Set([400, 413, 415, 422]);
/**
 * These are about the moment, not about the task: the service is busy, away, has not got all of the request, or
 * restarts behind its gateway.
 */
const MOMENTARY = new Set([408, 429, 502, 503, 504]);

/**
 * `unsent`: nobody takes it as things are (a route that is not there, a gateway that forbids it), which a person may
 * mend. `failed`: an answer to this task, which counts as one of its tries. `unknown`: this may be about all tasks.
 */
type Meaning = "signed out" | "refused" | "unsent" | "failed" | "unknown";

function meaningOf(error: unknown): Meaning {
  if (error instanceof SignedOutError) return "signed out";
  if (!(error instanceof ServiceError) || MOMENTARY.has(error.status)) return "unknown";
  if (REFUSALS.has(error.status)) return "refused";
  return error.status >= 400 && error.status < 500 ? "unsent" : "failed";
}

/** A limit of the user's, which says nothing about one task, whoever else was let through. */
function isAboutTheUser(error: unknown): boolean {
  return error instanceof ServiceError && error.status === 429;
}
