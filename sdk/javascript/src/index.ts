/** The package's public API. Nothing else is exported. */
export {
  NetworkError,
  NotificationError,
  ServiceError,
  SignedOutError,
  StreamError,
  type ClientError,
  type ErrorCode,
  type ErrorData,
  type ServiceErrorDetails,
} from "./api/errors";
export type { GetIdToken } from "./api/http";
export type { TaskResult, TaskStatus } from "./api/task-status";
export type { DisposableToken, EndpointOverrides } from "./api/token-service";
export type { WebStorage } from "./browser/user-storage";
export type { HeartbeatPolicy } from "./connection/heartbeat-monitor";
export type { Timing } from "./connection/options";
export type { ConnectionState } from "./connection/state-machine";
export type { BackoffPolicy } from "./internal/backoff";
export type { Store } from "./internal/store";
export type { Clock } from "./internal/timers";
export { NotificationApi, type Notifications, type Tasks } from "./notification-api";
export type { FinalStatus, Notification, Source, Status, TaskFacts } from "./notifications/notification";
export type { NotificationApiOptions } from "./options";
export type { ConnectionStatus } from "./session/connection-status";
export type { NotificationApiEvents, ReceivedNotification } from "./session/events";
export type { NotificationList } from "./session/notification-store";
export type { SubmitOptions, SubmittedTask } from "./session/outbox";
export type { OutboxStatus } from "./session/state";
export { isActive, isFinal, isLocal, type Task, type TaskOptions, type TaskState } from "./tasks/task";
export { taskBodyBytes } from "./tasks/task-body";
export { openFetchStream } from "./transport/fetch-stream";
export { openMomentoStream, openStream } from "./transport/open-stream";
export type { OpenStream, Stream, StreamListener } from "./transport/stream";
