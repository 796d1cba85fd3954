import { parseNotification, parseReadUntil, type Notification } from "../notifications/notification";
import { ServiceError } from "./errors";
import { request, type Http } from "./http";
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

/** Absolute URLs. */
export interface TokenServiceUrls {
  /** Of `GET /token`. */
  tokenUrl: string;
  /** Of `GET /notifications`; by default a sibling of `tokenUrl`. */
  notificationsUrl?: string;
}

/** The routes of the token service, for the user who is signed in. Each throws what `request` throws. */
export class TokenService {
  readonly #http: Http;
  readonly #tokenUrl: string;
  readonly #notificationsUrl: string;

  constructor(http: Http, { tokenUrl, notificationsUrl }: TokenServiceUrls) {
    this.#http = http;
    this.#tokenUrl = tokenUrl;
    this.#notificationsUrl = notificationsUrl ?? new URL("notifications", tokenUrl).href;
  }

  async fetchToken(signal: AbortSignal): Promise<DisposableToken> {
    const answer = await request(this.#http, this.#tokenUrl, { signal });
    return parseToken(await answer.json());
  }

  /**
   * The user's notifications that were stored after the answer that gave `cursor`; with null, the whole history.
   * Resolves to null where the service keeps no history, which it answers with 404.
   */
  async fetchHistory(cursor: string | null, signal: AbortSignal): Promise<HistoryPage | null> {
    const url = new URL(this.#notificationsUrl);
    if (cursor !== null) url.searchParams.set("after", cursor);
    try {
      return await parseHistory(await request(this.#http, url.href, { signal }));
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) return null;
      throw error;
    }
  }

  /** A task's status. Another user's task is answered as an unknown one is: 404. */
  async task(taskId: string, signal?: AbortSignal): Promise<TaskStatus> {
    const answer = await request(this.#http, this.#taskUrl(taskId), { ...(signal && { signal }) });
    return parseTaskStatus(await answer.json(), taskId);
  }

  /** The whole result of a finished task: 404 before its end, 410 once it is no longer kept. */
  async result(taskId: string): Promise<TaskResult> {
    const answer = await request(this.#http, this.#taskUrl(taskId, "/result"));
    return parseTaskResult(await answer.json());
  }

  /** Asks for the task to be cancelled: 409 where it has ended. */
  async cancel(taskId: string): Promise<TaskStatus> {
    const answer = await request(this.#http, this.#taskUrl(taskId, "/cancel"), { method: "POST" });
    return parseTaskStatus(await answer.json(), taskId);
  }

  /** Marks the notifications until this time (epoch milliseconds) as read; resolves to the service's marker. */
  async markRead(until: number): Promise<number> {
    const headers = { "content-type": "application/json" };
    const init = { method: "POST", headers, body: JSON.stringify({ until }) };
    const answer = await request(this.#http, this.#readUrl(), init);
    return parseReadUntil(await answer.json()) ?? until;
  }

  #taskUrl(taskId: string, route = ""): string {
    return new URL(`task/${encodeURIComponent(taskId)}${route}`, this.#tokenUrl).href;
  }

  #readUrl(): string {
    const url = new URL(this.#notificationsUrl);
    url.pathname += "/read";
    return url.href;
  }
}

async function parseHistory(answer: Response): Promise<HistoryPage> {
  const body = (await answer.json()) as { notifications?: unknown; cursor?: unknown };
  const { notifications, cursor } = body;
  const readUntil = parseReadUntil(body);
  if (!Array.isArray(notifications)) throw new TypeError("The answer has no list of notifications");
  return {
    notifications: notifications.map(parseNotification).filter((notification) => notification !== null),
    cursor: typeof cursor === "string" && cursor !== "" ? cursor : null,
    servedAt: Date.parse(answer.headers.get("date") ?? ""),
    ...(readUntil !== undefined && { readUntil }),
  };
}

function parseToken(value: unknown): DisposableToken {
  const { token, cacheName, topic, expiresAt } = value as Partial<DisposableToken>;
  const complete = [token, cacheName, topic].every((field) => typeof field === "string" && field !== "");
  if (!complete || typeof expiresAt !== "number") throw new TypeError("The token service's answer is incomplete");
  return value as DisposableToken;
}
