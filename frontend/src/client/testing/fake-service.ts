import type { FakeClock } from "./fake-clock";
import type { Grant, Notification } from "../types";

type Reply = Response | Error;

/** The token service, with its answers at hand: it refuses what the id token does not allow. */
export class FakeService {
  readonly tokenUrl = "http://service.test/token";
  readonly requests: { path: string; after: string | null; authorization: string | null }[] = [];
  idToken = "id-1";
  validIdTokens = new Set(["id-1"]);
  topic = "alice";
  lifetimeSeconds = 1800;
  /** As the service does until half of its life is over: the same token for all who ask. */
  sharedToken: string | undefined;
  records: Notification[] | null = [];
  /** False in the version before: it takes no cursor and gives none. */
  givesCursor = true;
  /** False while the network is gone: no request arrives. */
  reachable = true;
  /** How far the service's clock is ahead of the browser's. */
  clockAheadMs = 0;
  tellsDate = true;
  /** Replies to give before any other, one a request to that path. */
  readonly replies: Record<string, Reply[]> = {};
  /** What the history held when each cursor was given. */
  readonly #cursors = new Map<string, Set<string>>();
  #issued = 0;

  constructor(private readonly clock: FakeClock) {}

  readonly fetch: typeof fetch = async (input, init) => {
    const url = new URL(String(input));
    const authorization = new Headers(init?.headers).get("authorization");
    this.requests.push({ path: url.pathname, after: afterOf(url), authorization });
    const reply = this.#given(url.pathname);
    if (reply instanceof Error) throw reply;
    if (reply !== undefined) return reply;
    if (!this.validIdTokens.has(authorization?.replace("Bearer ", "") ?? "")) return problem(401, "Invalid id token");
    return url.pathname === "/token" ? Response.json(this.#grant()) : this.#notifications(afterOf(url) ?? "");
  };

  /** As when another version of the service answers, or another key signs. */
  forgetCursors(): void {
    this.#cursors.clear();
  }

  count(path: string): number {
    return this.requests.filter((request) => request.path === path).length;
  }

  reply(path: string, ...replies: Reply[]): void {
    (this.replies[path] ??= []).push(...replies);
  }

  #given(path: string): Reply | undefined {
    return this.reachable ? this.replies[path]?.shift() : new TypeError("Failed to fetch");
  }

  #grant(): Grant {
    this.#issued += 1;
    const token = this.sharedToken ?? `disposable-${this.#issued}`;
    const expiresAt = Math.floor((this.clock.now() + this.clockAheadMs) / 1000) + this.lifetimeSeconds;
    return { token, cacheName: "cache", topic: this.topic, expiresAt };
  }

  /** By what the history holds, never by time: an entry that is written late, or again, has not been given yet. */
  #notifications(after: string): Response {
    if (this.records === null) return problem(404, "No such route");
    const given = /^\d{0,15}$/.test(after) ? new Set<string>() : this.#cursors.get(after);
    if (given === undefined) return problem(400, "`after` is not a cursor of this service");
    const notifications = this.records.filter((record) => !given.has(JSON.stringify(record)));
    const date = new Date(this.clock.now() + this.clockAheadMs).toUTCString();
    const body = this.givesCursor ? { notifications, cursor: this.#cursor(this.records) } : { notifications };
    return Response.json(body, { headers: this.tellsDate ? { date } : {} });
  }

  #cursor(records: Notification[]): string {
    const cursor = `c${this.#cursors.size + 1}`;
    this.#cursors.set(cursor, new Set(records.map((record) => JSON.stringify(record))));
    return cursor;
  }
}

function afterOf(url: URL): string | null {
  return url.searchParams.get("after");
}

export function problem(status: number, detail: string, headers: Record<string, string> = {}): Response {
  return Response.json({ status, detail, requestId: "r-1" }, { status, headers });
}
