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
} from "./api/errors";
export type { GetIdToken } from "./api/http";
export type { TaskResult, TaskStatus } from "./api/task-status";
export type { DisposableToken, EndpointOverrides } from "./api/token-service";
export type { Timing } from "./connection/options";
export type { ConnectionState } from "./connection/state-machine";
export type { Store } from "./internal/store";
export type { Clock } from "./internal/timers";
export type {
  FinalStatus,
  Notification,
  ReceivedNotification,
  Source,
  Status,
  TaskFacts,
} from "./notifications/notification";
export {
  NotificationApi,
  type ConnectionStatus,
  type NotificationApiEvents,
  type NotificationList,
  type SubmitOptions,
  type SubmittedTask,
  type Tasks,
} from "./notification-api";
export type { NotificationApiOptions, WebStorage } from "./options";
export { taskBodyBytes } from "./tasks/task-body";
export { isActive, isFinal, isLocal, type Task, type TaskOptions, type TaskState } from "./tasks/task";
export { openMomentoStream, preloadMomentoSdk } from "./transport/momento-sdk";
export type { OpenStream, Stream, StreamListener } from "./transport/stream";
