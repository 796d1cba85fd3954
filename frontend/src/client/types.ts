/** What a task has come to. `progress` may be told many times, the others once. */
export type Status = "finished" | "failed" | "progress";

/** One piece of news, as the processor published it. `time` is epoch milliseconds (UTC). */
export interface Notification {
  taskId: string;
  status: Status;
  message: string;
  time: number;
}

/**
 * Where a piece of news came from: `live` over the stream, `catch-up` after an absence, `history` from
 * before the first client in this browser was made (worth listing, not worth announcing).
 */
export type Source = "live" | "catch-up" | "history";
export type News = Notification & { source: Source };

export type ClientState = "connecting" | "live" | "reconnecting" | "offline" | "signed-out";

/** The answer of `GET /token`; `expiresAt` is in epoch seconds. */
export interface Grant {
  token: string;
  cacheName: string;
  topic: string;
  expiresAt: number;
  endpointOverrides?: EndpointOverrides;
}

export interface EndpointOverrides {
  cacheEndpoint: string;
  controlEndpoint: string;
  tokenEndpoint: string;
}

/** Something that went wrong, for a person to read; the client goes on by itself unless signed out. */
export interface Problem {
  stage: "token" | "stream" | "catch-up";
  message: string;
  status?: number;
  requestId?: string;
  retryAfterMs?: number;
}

export interface ClientEvents {
  state: ClientState;
  news: News;
  problem: Problem;
}

/** `refresh` asks for a token newer than the one that was refused. Null: nobody is signed in. */
export type GetIdToken = (options: { refresh: boolean }) => Promise<string | null>;

export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** What outlives the page: one user's, never shared between users. */
export interface Memory {
  load(): string | null;
  save(value: string): void;
  clear(): void;
}
