import type { DisposableToken } from "../api/token-service";
import type { Notification } from "../notifications/notification";
import type { FakeClock } from "./fake-clock";

type Reply = Response | Error;

/** The services under one origin. They refuse id tokens that are not in `validIdTokens`. */
export class FakeService {
  readonly url = "http://service.test/";
  readonly requests: { path: string; after: string | null; authorization: string | null }[] = [];
  /** The tasks that were posted: the key and the body of each request. */
  readonly posts: { key: string | null; body: unknown }[] = [];
  /** The answers of `GET /task/{taskId}`, by task id. */
  readonly statuses = new Map<string, object>();
  /** The read markers that were posted. */
  readonly marked: number[] = [];
  idToken = "id-1";
  validIdTokens = new Set(["id-1"]);
  topic = "alice";
  lifetimeSeconds = 1800;
  /** The same token for all callers, as the service returns until half its lifetime is over. */
  sharedToken: string | undefined;
  /** Null: a service that keeps no history. */
  history: Notification[] | null = [];
  /** False in an earlier version of the service: it takes no cursor and gives none. */
  givesCursor = true;
  /** False: no request reaches it. */
  reachable = true;
  /** How far the service's clock is ahead of the browser's. */
  clockAheadMs = 0;
  sendsDate = true;
  /** Undefined in an earlier version of the service: it has no read marker. */
  readUntil: number | undefined;
  /** Replies to give before any other, one for each request to that path. */
  readonly replies: Record<string, Reply[]> = {};
  /** The history's content when each cursor was given. */
  readonly #cursors = new Map<string, Set<string>>();
  #issued = 0;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const url = new URL(String(input));
    const authorization = new Headers(init?.headers).get("authorization");
    this.requests.push({ path: url.pathname, after: afterOf(url), authorization });
    if (url.pathname === "/task") this.posts.push({ key: keyOf(init), body: JSON.parse(String(init?.body)) });
    const reply = this.#nextReply(url.pathname);
    if (reply instanceof Error) throw reply;
    if (reply !== undefined) return reply;
    if (!this.validIdTokens.has(authorization?.replace("Bearer ", "") ?? ""))
      return problemResponse(401, "Invalid id token");
    return this.#answer(url, init);
  };

  #answer({ pathname, searchParams }: URL, init: RequestInit | undefined): Response {
    if (pathname === "/token") return Response.json(this.#token());
    if (pathname === "/notifications") return this.#notifications(searchParams.get("after") ?? "");
    if (pathname === "/notifications/read") return this.#markRead(JSON.parse(String(init?.body)) as { until: number });
    if (pathname === "/task") return Response.json({ taskId: `task-${keyOf(init)}` }, { status: 202 });
    const status = this.statuses.get(pathname.replace("/task/", ""));
    return status === undefined ? problemResponse(404, "No such task") : Response.json(status);
  }

  #markRead({ until }: { until: number }): Response {
    this.marked.push(until);
    return Response.json({ readUntil: until });
  }

  /** Makes every cursor invalid, as another version of the service or another signing key does. */
  invalidateCursors(): void {
    this.#cursors.clear();
  }

  count(path: string): number {
    return this.requests.filter((request) => request.path === path).length;
  }

  reply(path: string, ...replies: Reply[]): void {
    (this.replies[path] ??= []).push(...replies);
  }

  #nextReply(path: string): Reply | undefined {
    return this.reachable ? this.replies[path]?.shift() : new TypeError("Failed to fetch");
  }

  #token(): DisposableToken {
    this.#issued += 1;
    const token = this.sharedToken ?? `disposable-${this.#issued}`;
    const expiresAt = Math.floor((this.#clock.now() + this.clockAheadMs) / 1000) + this.lifetimeSeconds;
    return { token, cacheName: "cache", topic: this.topic, expiresAt };
  }

  /** A cursor stands for content, not for a time: an entry that is stored late, or again, has not been given yet. */
  #notifications(after: string): Response {
    if (this.history === null) return problemResponse(404, "No such route");
    const given = /^\d{0,15}$/.test(after) ? new Set<string>() : this.#cursors.get(after);
    if (given === undefined) return problemResponse(400, "`after` is not a cursor of this service");
    const notifications = this.history.filter((entry) => !given.has(JSON.stringify(entry)));
    const date = new Date(this.#clock.now() + this.clockAheadMs).toUTCString();
    const body = this.givesCursor ? { notifications, cursor: this.#cursor(this.history) } : { notifications };
    return Response.json({ ...body, readUntil: this.readUntil }, { headers: this.sendsDate ? { date } : {} });
  }

  #cursor(history: Notification[]): string {
    const cursor = `c${this.#cursors.size + 1}`;
    this.#cursors.set(cursor, new Set(history.map((entry) => JSON.stringify(entry))));
    return cursor;
  }
}

function keyOf(init: RequestInit | undefined): string | null {
  return new Headers(init?.headers).get("idempotency-key");
}

function afterOf(url: URL): string | null {
  return url.searchParams.get("after");
}

export function problemResponse(status: number, detail: string, headers: Record<string, string> = {}): Response {
  return Response.json({ status, detail, requestId: "r-1" }, { status, headers });
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
