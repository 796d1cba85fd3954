export { NotificationClient } from "./notification-client";
export { request, ServiceError, SignedOutError, type Http } from "./http";
export { backoffMs, type BackoffPolicy } from "./backoff";
export { openMomentoStream } from "./momento";
export { StreamError, type OpenStream, type Stream, type StreamListener } from "./stream";
export { DEFAULT_TIMING, type ClientOptions, type Timing } from "./options";
export { Emitter } from "./emitter";
export type * from "./types";
