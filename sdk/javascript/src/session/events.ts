import type { ClientError } from "../api/errors";
import type { ConnectionState } from "../connection/state-machine";
import type { Emitter } from "../internal/emitter";
import type { SourcedNotification } from "../notifications/notification";

export interface ReceivedNotification extends SourcedNotification {
  /** Whether this tab should announce it: true for the end of a task, in the tab that was visible last. */
  announce: boolean;
}

export interface NotificationApiEvents {
  /** A notification, once in each tab. Its task is listed by then. */
  notification: ReceivedNotification;
  state: ConnectionState;
  error: ClientError;
}

export type Events = Emitter<NotificationApiEvents>;
