import type { Store, ValueStore } from "../internal/store";
import type { Notification } from "../notifications/notification";
import { notificationOf, type Task } from "../tasks/task";
import { isSameList, type TaskList } from "../tasks/task-list";

export interface NotificationList {
  /** The ends of the listed tasks, the newest first. */
  items: readonly Notification[];
  /** How many of them are newer than `readUntil`. */
  unread: number;
  /** Until when the user has read them, in epoch milliseconds. */
  readUntil: number;
}

const EMPTY: NotificationList = { items: [], unread: 0, readUntil: 0 };

/** The notifications, derived from the tasks that have ended and from the read marker. */
export class NotificationStore implements Store<NotificationList> {
  #snapshot = EMPTY;
  #derivedFrom: readonly Task[] = [];
  /** A task that has not changed keeps its notification. */
  readonly #ofTask = new WeakMap<Task, Notification>();
  readonly #tasks: TaskList;
  readonly #readUntil: ValueStore<number>;

  constructor(tasks: TaskList, readUntil: ValueStore<number>) {
    this.#tasks = tasks;
    this.#readUntil = readUntil;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const stops = [this.#tasks.subscribe(listener), this.#readUntil.subscribe(listener)];
    return () => stops.forEach((stop) => stop());
  };

  readonly getServerSnapshot = (): NotificationList => EMPTY;

  readonly getSnapshot = (): NotificationList => {
    const [tasks, readUntil] = [this.#tasks.getSnapshot(), this.#readUntil.value];
    if (tasks === this.#derivedFrom && readUntil === this.#snapshot.readUntil) return this.#snapshot;
    this.#derivedFrom = tasks;
    const ends = tasks.flatMap((task) => this.#notificationOf(task) ?? []).sort((one, other) => other.time - one.time);
    const items = isSameList(ends, this.#snapshot.items) ? this.#snapshot.items : Object.freeze(ends);
    if (items === this.#snapshot.items && readUntil === this.#snapshot.readUntil) return this.#snapshot;
    const unread = items.filter(({ time }) => time > readUntil).length;
    return (this.#snapshot = { items, unread, readUntil });
  };

  #notificationOf(task: Task): Notification | null {
    const known = this.#ofTask.get(task);
    if (known !== undefined) return known;
    const notification = notificationOf(task);
    if (notification !== null) this.#ofTask.set(task, notification);
    return notification;
  }
}
