/** The package's public API. Nothing else is exported. */
export { ServiceError, SignedOutError, StreamError, type ClientError } from "./api/errors";
export type { GetIdToken, Http } from "./api/http";
export type { TaskResult, TaskStatus } from "./api/task-status";
export { TokenService, type DisposableToken, type TokenServiceUrls } from "./api/token-service";
export { NotificationClient, type ClientEvents } from "./connection/client";
export { DEFAULT_TIMING, type ClientOptions, type Timing } from "./connection/options";
export type { ClientState } from "./connection/state-machine";
export type { KeyValueStore, StoredValue } from "./internal/key-value-store";
export type { Clock } from "./internal/timers";
export type {
  FinalStatus,
  Notification,
  ReceivedNotification,
  Source,
  Status,
  TaskFacts,
} from "./notifications/notification";
export { TabCoordinator, type TabListener, type TabMessage } from "./tabs/tab-coordinator";
export { isUnsent, PendingTasks, type PendingTask } from "./tasks/pending-tasks";
export { KEPT_MS, StatusReader, type StatusListener } from "./tasks/status-reader";
export { TaskSubmitter, type SubmitterListener, type WithLock } from "./tasks/submitter";
export { taskBody, taskBodyBytes } from "./tasks/task-body";
export { TaskStorage } from "./tasks/task-storage";
export { isActive, isFinal, isLocal, type Task, type TaskOptions, type TaskState } from "./tasks/task";
export {
  applyChange,
  findByTaskId,
  isAwaited,
  mergeTasks,
  newestFirst,
  type TaskChange,
  type TaskStore,
} from "./tasks/task-store";
export { UnmatchedNotifications } from "./tasks/unmatched-notifications";
export { openFetchStream } from "./transport/fetch-stream";
export { openMomentoStream } from "./transport/momento-sdk";
export { openStream } from "./transport/open-stream";
export type { OpenStream, Stream, StreamListener } from "./transport/stream";
