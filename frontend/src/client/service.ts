import { request, ServiceError, type Http } from "./http";
import { asNotification } from "./notification";
import type { Grant, Notification } from "./types";

export interface Records {
  records: Notification[];
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
   * The user's own news after `after` (epoch milliseconds), oldest first. A service that keeps no record
   * answers 404: there is nothing to catch up on, ever.
   */
  async newsAfter(after: number, signal: AbortSignal): Promise<Records> {
    const url = new URL(this.notificationsUrl);
    url.searchParams.set("after", String(Math.max(0, Math.floor(after))));
    try {
      const answer = await request(this.http, url.href, { signal });
      const { notifications } = (await answer.json()) as { notifications?: unknown };
      const records = Array.isArray(notifications) ? notifications.map(asNotification) : [];
      return {
        records: records.filter((news) => news !== null),
        servedAt: Date.parse(answer.headers.get("date") ?? ""),
      };
    } catch (error) {
      if (error instanceof ServiceError && error.status === 404) return { records: [], servedAt: NaN };
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
