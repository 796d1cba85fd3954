import type { ClientError } from "../api/errors";
import type { ConnectionState } from "../connection/state-machine";
import type { Notification, Source } from "../notifications/notification";
import type { Task } from "../tasks/task";
import type { TaskChange } from "../tasks/task-store";

/** A message between the tabs of one user. */
export type TabMessage =
  | { type: "join" | "active" | "leave"; from: string }
  /** A tab asks whether the leader still runs, and its answer. */
  | { type: "ping" | "pong" }
  /** The leader's answer to `join`. */
  | { type: "snapshot"; state: ConnectionState; error: ClientError | null; tasks: Task[]; readUntil: number }
  | { type: "state"; state: ConnectionState }
  | { type: "error"; error: ClientError }
  /** `to`: the tab that announces it. */
  | { type: "notification"; notification: Notification; source: Source; to: string }
  | { type: "change"; change: TaskChange }
  /** The notifications until this time (epoch milliseconds) are read. */
  | { type: "read"; until: number }
  /** To the tab that holds this task in memory, where storage did not take it. */
  | { type: "resend"; key: string }
  | { type: "check-now" | "signed-out" };

export interface TabListener {
  message(message: TabMessage): void;
  /** From now on this tab holds the connection. */
  onLeader(): void;
  /** Another tab has taken the connection over, as this one did not answer. */
  onDeposed(): void;
}

/**
 * The tabs of a user, of which one leads. Only the leader opens a stream, as a browser opens six connections to a
 * server at most. `join` and `leave` may be repeated.
 */
export interface Tabs {
  readonly id: string;
  readonly isLeader: boolean;
  /** The id of the tab that was visible last. */
  readonly active: string;
  join(): void;
  leave(): void;
  /** Sends to the other tabs, while joined. */
  send(message: TabMessage): void;
  /** This tab is visible. */
  activate(): void;
  /** Runs one action of this name at a time over all tabs. */
  withLock(name: string, action: () => Promise<void>): Promise<void>;
}
