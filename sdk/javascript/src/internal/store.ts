/**
 * A value that changes, in the form that React's `useSyncExternalStore` and the like expect. The functions are bound.
 * Snapshots are immutable, and the identical object as long as nothing has changed.
 */
export interface Store<T> {
  /** Calls the listener after each change; returns a function that removes it. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly getSnapshot: () => T;
  /** What a server renders. It never changes. */
  readonly getServerSnapshot: () => T;
}

/** Listeners without a value. Changes made together are reported once, in a microtask. */
export class Listeners {
  readonly #listeners = new Set<() => void>();
  #isScheduled = false;

  readonly subscribe = (listener: () => void): (() => void) => {
    const entry = (): void => listener(); // the same function may be subscribed twice
    this.#listeners.add(entry);
    return () => this.#listeners.delete(entry);
  };

  notify(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}

/** A store whose value is set. */
export class ValueStore<T> implements Store<T> {
  readonly #listeners = new Listeners();
  readonly subscribe: Store<T>["subscribe"] = this.#listeners.subscribe;
  readonly getSnapshot: () => T = () => this.#value;
  readonly getServerSnapshot: () => T;
  #value: T;

  constructor(initial: T) {
    this.#value = initial;
    this.getServerSnapshot = () => initial;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (value === this.#value) return;
    this.#value = value;
    this.#listeners.notify();
  }
}
