import { parseNotification, type Notification } from "../notifications/notification";
import { ServiceError } from "./errors";
import { request, type Http } from "./http";

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
}

/** The two routes of the token service that the client uses. */
export class TokenService {
  readonly #http: Http;
  readonly #tokenUrl: string;
  readonly #notificationsUrl: string;

  constructor(http: Http, tokenUrl: string, notificationsUrl: string) {
    this.#http = http;
    this.#tokenUrl = tokenUrl;
    this.#notificationsUrl = notificationsUrl;
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
}

async function parseHistory(answer: Response): Promise<HistoryPage> {
  const { notifications, cursor } = (await answer.json()) as { notifications?: unknown; cursor?: unknown };
  if (!Array.isArray(notifications)) throw new TypeError("The answer has no list of notifications");
  return {
    notifications: notifications.map(parseNotification).filter((notification) => notification !== null),
    cursor: typeof cursor === "string" && cursor !== "" ? cursor : null,
    servedAt: Date.parse(answer.headers.get("date") ?? ""),
  };
}

function parseToken(value: unknown): DisposableToken {
  const { token, cacheName, topic, expiresAt } = value as Partial<DisposableToken>;
  const complete = [token, cacheName, topic].every((field) => typeof field === "string" && field !== "");
  if (!complete || typeof expiresAt !== "number") throw new TypeError("The token service's answer is incomplete");
  return value as DisposableToken;
}
