import { backoffMs, request, ServiceError, SignedOutError, type Http } from "../client";
import type { Letter, Letters } from "./letters";

export interface OutboxListener {
  accepted(letter: Letter, taskId: string): void;
  refused(letter: Letter, reason: string): void;
  /** Letters are waiting, and will be tried again. */
  delayed(error: unknown): void;
  /** Something was sent, or nothing is left to send: whatever was delaying has passed. */
  flowing(): void;
  signedOut(): void;
}

/** Runs one action at a time over all tabs: the Web Locks API, or a stand-in. */
export type Exclusively = (action: () => Promise<void>) => Promise<void>;

const RETRY = { baseMs: 1_000, capMs: 15_000 };

/**
 * Sends tasks, and keeps those that cannot be sent now, over page loads too. Whichever tab holds the lock
 * sends what any of them has put in.
 */
export class Outbox {
  /** Runs while something delays. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #sending = false;
  /** To be looked at once more before this sending ends. */
  #again = false;
  #closed = false;

  constructor(
    private readonly http: Http,
    private readonly taskUrl: string,
    private readonly letters: Letters,
    private readonly exclusively: Exclusively,
    private readonly listener: OutboxListener,
  ) {}

  /** False where no more can be kept. What is delaying other letters delays this one. */
  add(letter: Letter): boolean {
    if (!this.letters.add(letter)) return false;
    if (this.#timer === undefined) this.flush();
    return true;
  }

  /** Sends now what is there, whatever was delaying. */
  flush(): void {
    this.#cancel();
    this.#again = true;
    if (!this.#sending) void this.#sendWhileAsked();
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
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
      if (!this.#closed) this.letters.remove(next); // after a sign-out the storage may be another's
    }
    if (!this.#closed) this.listener.flowing();
  }

  #next(): Letter | undefined {
    return this.#closed ? undefined : this.letters.all()[0];
  }

  /** True when the letter is done with, one way or the other. */
  async #send(letter: Letter): Promise<boolean> {
    try {
      const taskId = await this.#post(letter);
      this.#attempt = 0;
      if (!this.#closed) this.listener.flowing();
      if (!this.#closed) this.listener.accepted(letter, taskId);
      return true;
    } catch (error) {
      return this.#closed ? false : this.#failed(letter, error);
    }
  }

  async #post({ key, data }: Letter): Promise<string> {
    const headers = { "content-type": "application/json", "idempotency-key": key };
    const answer = await request(this.http, this.taskUrl, { method: "POST", headers, body: JSON.stringify({ data }) });
    const { taskId } = (await answer.json()) as { taskId?: unknown };
    if (typeof taskId !== "string") throw new TypeError("The service's answer names no task");
    return taskId;
  }

  #failed(letter: Letter, error: unknown): boolean {
    if (error instanceof SignedOutError) {
      this.listener.signedOut();
      return false;
    }
    if (error instanceof ServiceError && isFinal(error.status)) {
      this.listener.refused(letter, error.message);
      return true;
    }
    this.#delay(error);
    return false;
  }

  #delay(error: unknown): void {
    if (this.#closed) return;
    const floor = error instanceof ServiceError ? error.retryAfterMs : undefined;
    const retryInMs = backoffMs(RETRY, this.#attempt++, Math.random, floor);
    this.#cancel();
    this.#again = false;
    this.#timer = setTimeout(() => this.flush(), retryInMs);
    this.listener.delayed(error);
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Sending the same again would be refused again; 408 and 429 are about the moment, not about the task. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
