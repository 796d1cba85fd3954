import type { Clock } from "../types";

interface Timer {
  at: number;
  callback: () => void;
}

/** Time that moves only when told to, with promises settled between two timers. */
export class FakeClock implements Clock {
  #now: number;
  #timers = new Map<number, Timer>();
  #next = 1;

  constructor(now = 1_700_000_000_000) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): number {
    this.#timers.set(this.#next, { at: this.#now + ms, callback });
    return this.#next++;
  }

  clearTimeout(handle: unknown): void {
    this.#timers.delete(handle as number);
  }

  get pending(): number {
    return this.#timers.size;
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (let due = this.#due(end); due !== undefined; due = this.#due(end)) {
      const [handle, timer] = due;
      this.#timers.delete(handle);
      this.#now = Math.max(this.#now, timer.at);
      timer.callback();
      await settle();
    }
    this.#now = end;
  }

  /** As after a machine's sleep: the clock has moved, no timer has run. */
  sleep(ms: number): void {
    this.#now += ms;
  }

  #due(end: number): [number, Timer] | undefined {
    const due = [...this.#timers].filter(([, timer]) => timer.at <= end);
    return due.sort(([, a], [, b]) => a.at - b.at)[0];
  }
}

/** Lets everything that is ready run: promises, and what they wait for in turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
