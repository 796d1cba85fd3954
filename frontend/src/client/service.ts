import { request, ServiceError, type Http } from "./http";
import { asNotification } from "./notification";
import type { Grant, Notification } from "./types";

export interface Records {
  records: Notification[];
  /** Names what the history held at the time, for the next request; null from a service that gives none. */
  cursor: string | null;
  /** Epoch milliseconds by the service's clock, to the second; NaN where it does not say. */
  servedAt: number;
}

/** The two routes of the token service that the client lives on. */
export class TokenService {
  constructor(
    private readonly http: Http,
    private readonly tokenUrl: string,
    private readonly notificationsUrl: string,
  ) {}

  async grant(signal: AbortSignal): Promise<Grant> {
    const answer = await request(this.http, this.tokenUrl, { signal });
    return asGrant(await answer.json());
  }

  /**
   * The user's own news that the history did not hold when it gave `cursor`, oldest first; null: all that it
   * holds. Resolves to null where the service keeps no history, which it answers with 404.
   */
  async newsAfter(cursor: string | null, signal: AbortSignal): Promise<Records | null> {
    const url = new URL(this.notificationsUrl);
    if (cursor !== null) url.searchParams.set("after", cursor);
    try {
      return await asRecords(await request(this.http, url.href, { signal }));
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) return null;
      throw error;
    }
  }
}

async function asRecords(answer: Response): Promise<Records> {
  const { notifications, cursor } = (await answer.json()) as { notifications?: unknown; cursor?: unknown };
  if (!Array.isArray(notifications)) throw new TypeError("The answer holds no list of notifications");
  return {
    records: notifications.map(asNotification).filter((news) => news !== null),
    cursor: typeof cursor === "string" && cursor !== "" ? cursor : null,
    servedAt: Date.parse(answer.headers.get("date") ?? ""),
  };
}

function asGrant(value: unknown): Grant {
  const { token, cacheName, topic, expiresAt } = value as Partial<Grant>;
  const complete = [token, cacheName, topic].every((field) => typeof field === "string" && field !== "");
  if (!complete || typeof expiresAt !== "number") throw new TypeError("The token service's answer is incomplete");
  return value as Grant;
}
