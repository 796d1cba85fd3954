import type { Clock } from "./types";

/** At most one timer a name: setting it again moves it. */
export class Timers<Name extends string> {
  readonly #handles = new Map<Name, unknown>();

  constructor(private readonly clock: Clock) {}

  set(name: Name, ms: number, action: () => void): void {
    this.cancel(name);
    const run = (): void => {
      this.#handles.delete(name);
      action();
    };
    this.#handles.set(name, this.clock.setTimeout(run, ms));
  }

  has(name: Name): boolean {
    return this.#handles.has(name);
  }

  cancel(...names: Name[]): void {
    for (const name of names) {
      this.clock.clearTimeout(this.#handles.get(name));
      this.#handles.delete(name);
    }
  }
}
