import type { ErrorData } from "../api/errors";
import { Emitter } from "../internal/emitter";
import { ValueStore } from "../internal/store";
import { TaskList } from "../tasks/task-list";
import { ConnectionStatusStore } from "./connection-status";
import type { NotificationApiEvents } from "./events";
import { NotificationStore } from "./notification-store";

/** Whether submitted tasks are being sent. */
export interface OutboxStatus {
  /** Why those that wait are not sent now; null where they are. */
  error: ErrorData | null;
  /** Some of them are kept by this page only, as storage is full or blocked. */
  memoryOnly: boolean;
}

/** Nothing delays the outbox. */
export const SENDING: OutboxStatus = { error: null, memoryOnly: false };

/** What an application sees of a user's session. It exists before the session, and outlives each stop of it. */
export class SessionState {
  readonly events: Emitter<NotificationApiEvents> = new Emitter();
  readonly connection: ConnectionStatusStore = new ConnectionStatusStore(this.events);
  readonly tasks: TaskList = new TaskList();
  readonly outbox: ValueStore<OutboxStatus> = new ValueStore(SENDING);
  readonly readUntil: ValueStore<number> = new ValueStore(0);
  readonly notifications: NotificationStore = new NotificationStore(this.tasks, this.readUntil);
}
