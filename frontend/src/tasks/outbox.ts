import { backoffMs, request, ServiceError, SignedOutError, type Http, type Memory } from "../client";

/** A task that is still to be sent. Its key makes sending it twice the same as once. */
export interface Letter {
  key: string;
  data: string;
  at: number;
}

/** Why letters are waiting, for a person to read. */
export interface Delay {
  error: unknown;
  retryInMs: number;
}

export interface OutboxListener {
  accepted(letter: Letter, taskId: string): void;
  refused(letter: Letter, reason: string): void;
  delayed(delay: Delay): void;
  /** Something was sent: whatever was delaying has passed. */
  flowing(): void;
  signedOut(): void;
}

/** Runs one action at a time over all tabs: the Web Locks API, or a stand-in. */
export type Exclusively = (action: () => Promise<void>) => Promise<void>;

const RETRY = { baseMs: 1_000, capMs: 15_000 };
/** More than a person sends; a page that would keep more has another problem. */
export const MAX_LETTERS = 100;

/**
 * Sends tasks, and keeps those that cannot be sent now, over page loads too. Whichever tab holds the lock
 * sends what any of them has put in.
 */
export class Outbox {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #closed = false;

  constructor(
    private readonly http: Http,
    private readonly taskUrl: string,
    private readonly memory: Memory,
    private readonly exclusively: Exclusively,
    private readonly listener: OutboxListener,
  ) {}

  letters(): Letter[] {
    try {
      const letters: unknown = JSON.parse(this.memory.load() ?? "[]");
      return Array.isArray(letters) ? (letters as Letter[]) : [];
    } catch {
      return [];
    }
  }

  /** False where no more can be kept. */
  add(letter: Letter): boolean {
    const letters = this.letters();
    if (letters.length >= MAX_LETTERS) return false;
    this.memory.save(JSON.stringify([...letters, letter]));
    this.flush();
    return true;
  }

  /** Sends now what is there; called again while it does so, it looks again afterwards. */
  flush(): void {
    clearTimeout(this.#timer);
    this.exclusively(() => this.#sendAll()).catch((error: unknown) => {
      if (!this.#closed) this.#delay(error);
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #sendAll(): Promise<void> {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      if (!(await this.#send(next))) return;
      this.#remove(next);
    }
  }

  #next(): Letter | undefined {
    return this.#closed ? undefined : this.letters()[0];
  }

  #remove({ key }: Letter): void {
    // Re-read: another tab may have added meanwhile; and after sign-out there is nothing to write back.
    if (!this.#closed) this.memory.save(JSON.stringify(this.letters().filter((letter) => letter.key !== key)));
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
    const floor = error instanceof ServiceError ? error.retryAfterMs : undefined;
    const retryInMs = backoffMs(RETRY, this.#attempt++, Math.random, floor);
    this.#timer = setTimeout(() => this.flush(), retryInMs);
    this.listener.delayed({ error, retryInMs });
  }
}

/** Sending the same again would be refused again; 408 and 429 are about the moment, not about the task. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
