import { request, ServiceError, type Http } from "./http";
import { asNotification } from "./notification";
import type { Grant, Notification } from "./types";

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
   * The user's own news after `after` (epoch milliseconds), oldest first. A service that keeps no record
   * answers 404: there is nothing to catch up on, ever.
   */
  async newsAfter(after: number, signal: AbortSignal): Promise<Notification[]> {
    const url = new URL(this.notificationsUrl);
    url.searchParams.set("after", String(Math.max(0, Math.floor(after))));
    try {
      const answer = await request(this.http, url.href, { signal });
      const { notifications } = (await answer.json()) as { notifications?: unknown };
      return Array.isArray(notifications) ? notifications.map(asNotification).filter((news) => news !== null) : [];
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) return [];
      throw error;
    }
  }
}

function asGrant(value: unknown): Grant {
  const { token, cacheName, topic, expiresAt } = value as Partial<Grant>;
  const complete = [token, cacheName, topic].every((field) => typeof field === "string" && field !== "");
  if (!complete || typeof expiresAt !== "number") throw new TypeError("The token service's answer is incomplete");
  return value as Grant;
}
