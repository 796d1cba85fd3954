import { defined } from "../internal/defined";
import { parseNotification, parseReadUntil, type Notification } from "../notifications/notification";
import { malformed, toErrorData } from "./errors";
import { idToken, request, type Answer, type Http } from "./http";
import { parseTaskResult, parseTaskStatus, type TaskResult, type TaskStatus } from "./task-status";

/** The answer of `GET /token`; `expiresAt` is in epoch seconds. */
export interface DisposableToken {
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

/** The answer of `GET /notifications`. */
export interface HistoryPage {
  /** Oldest first. */
  notifications: Notification[];
  /** To be sent with the next request; null where the service gives none. */
  cursor: string | null;
  /** Epoch milliseconds by the service's clock, to the second; NaN where the answer has no Date header. */
  servedAt: number;
  /** Until when the user has read the notifications, in epoch milliseconds; absent where the service has no marker. */
  readUntil?: number;
}

/** The routes of the token service, for the user who is signed in. Each throws what `request` throws. */
export class TokenService {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  async fetchToken(signal: AbortSignal): Promise<DisposableToken> {
    return parseToken((await request(this.#http, "token", { signal })).body);
  }

  /** Fails as a request would where nobody is signed in, or another user. */
  async checkSignedIn(signal: AbortSignal): Promise<void> {
    await idToken(this.#http, false, signal);
  }

  /**
   * The user's notifications that were stored after the answer that gave `cursor`; with null, the whole history.
   * Resolves to null where the service keeps no history, which it answers with 404.
   */
  async fetchHistory(cursor: string | null, signal: AbortSignal): Promise<HistoryPage | null> {
    const query = cursor === null ? "" : `?${new URLSearchParams({ after: cursor })}`;
    try {
      return parseHistory(await request(this.#http, `notifications${query}`, { signal }));
    } catch (error) {
      if (toErrorData(error).code === "not_found") return null;
      throw error;
    }
  }

  /** A task's status. Another user's task is answered as an unknown one is: 404. */
  async task(taskId: string, signal?: AbortSignal): Promise<TaskStatus> {
    const { body } = await request(this.#http, taskPath(taskId), { signal: signal ?? null });
    return parseTaskStatus(body, taskId);
  }

  /** The whole result of a finished task: 404 before its end, 410 once it is no longer kept. */
  async result(taskId: string): Promise<TaskResult> {
    return parseTaskResult((await request(this.#http, `${taskPath(taskId)}/result`)).body);
  }

  /** Asks for the task to be cancelled: 409 where it has ended. */
  async cancel(taskId: string): Promise<TaskStatus> {
    const { body } = await request(this.#http, `${taskPath(taskId)}/cancel`, { method: "POST" });
    return parseTaskStatus(body, taskId);
  }

  /** Marks the notifications until this time (epoch milliseconds) as read; resolves to the service's marker. */
  async markRead(until: number): Promise<number> {
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify({ until }) };
    const { body } = await request(this.#http, "notifications/read", init);
    return parseReadUntil(body) ?? until;
  }
}

function taskPath(taskId: string): string {
  return `task/${encodeURIComponent(taskId)}`;
}

function parseHistory({ body, headers }: Answer): HistoryPage {
  const { notifications, cursor } = (body ?? {}) as { notifications?: unknown; cursor?: unknown };
  if (!Array.isArray(notifications)) throw malformed("The answer has no list of notifications");
  return {
    notifications: notifications.map(parseNotification).filter((notification) => notification !== null),
    cursor: typeof cursor === "string" && cursor !== "" ? cursor : null,
    servedAt: Date.parse(headers.get("date") ?? ""),
    ...defined({ readUntil: parseReadUntil(body) }),
  };
}

function parseToken(value: unknown): DisposableToken {
  const { token, cacheName, topic, expiresAt } = (value ?? {}) as Partial<DisposableToken>;
  const complete = [token, cacheName, topic].every((field) => typeof field === "string" && field !== "");
  if (!complete || typeof expiresAt !== "number") throw malformed("The token service's answer is incomplete");
  return value as DisposableToken;
}
