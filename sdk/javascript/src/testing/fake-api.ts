import type { ConnectionStatus, NotificationApi, NotificationList, Task } from "..";
import { ValueStore, type Store } from "../internal/store";

/** A store that a test sets, and that counts its listeners. */
class FakeStore<T> implements Store<T> {
  listeners = 0;
  readonly #store: ValueStore<T>;
  readonly getSnapshot: () => T;
  readonly getServerSnapshot: () => T;

  constructor(initial: T) {
    this.#store = new ValueStore(initial);
    this.getSnapshot = this.#store.getSnapshot;
    this.getServerSnapshot = this.#store.getServerSnapshot;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const unsubscribe = this.#store.subscribe(listener);
    this.listeners += 1;
    return () => {
      unsubscribe();
      this.listeners -= 1;
    };
  };

  /** Its listeners have been called when the promise resolves. */
  async set(value: T): Promise<void> {
    this.#store.set(value);
    await Promise.resolve();
  }
}

/** A client without a service, whose stores a test sets. */
export class FakeApi {
  readonly connection = new FakeStore<ConnectionStatus>({
    state: "idle",
    error: null,
    since: 0,
  });
  readonly allTasks = new FakeStore<readonly Task[]>([]);
  readonly list = new FakeStore<NotificationList>({ items: [], unread: 0, readUntil: 0 });
  /** The marks that were set. */
  readonly marks: (number | undefined)[] = [];
  /** How many providers are mounted. */
  mounted = 0;
  readonly #watched = new Map<string, FakeStore<Task | undefined>>();

  /** As what the adapters take. */
  get api(): NotificationApi {
    const { connection, allTasks, list, marks } = this;
    const tasks = { ...allTasks, watch: (id: string) => this.task(id) };
    const notifications = { ...list, markRead: (until?: number) => void marks.push(until) };
    return {
      connection,
      tasks,
      notifications,
      mount: () => this.#mount(),
    } as unknown as NotificationApi;
  }

  task(id: string): FakeStore<Task | undefined> {
    const store = this.#watched.get(id) ?? new FakeStore<Task | undefined>(undefined);
    this.#watched.set(id, store);
    return store;
  }

  /** Listeners of all stores. */
  get listeners(): number {
    const stores = [this.connection, this.allTasks, this.list, ...this.#watched.values()];
    return stores.reduce((sum, { listeners }) => sum + listeners, 0);
  }

  #mount(): () => void {
    this.mounted += 1;
    return () => {
      this.mounted -= 1;
    };
  }
}
