import type { FakeClock } from "./fake-clock";
import type { Grant, Notification } from "../types";

type Reply = Response | Error;

/** The token service, with its answers at hand: it refuses what the id token does not allow. */
export class FakeService {
  readonly tokenUrl = "http://service.test/token";
  readonly requests: { path: string; after: number | null; authorization: string | null }[] = [];
  idToken = "id-1";
  validIdTokens = new Set(["id-1"]);
  topic = "alice";
  lifetimeSeconds = 1800;
  /** As the service does until half of its life is over: the same token for all who ask. */
  sharedToken: string | undefined;
  records: Notification[] | null = [];
  /** False while the network is gone: no request arrives. */
  reachable = true;
  /** How far the service's clock is ahead of the browser's. */
  clockAheadMs = 0;
  tellsDate = true;
  /** Replies to give before any other, one a request to that path. */
  readonly replies: Record<string, Reply[]> = {};
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
    return url.pathname === "/token" ? Response.json(this.#grant()) : this.#notifications(afterOf(url) ?? 0);
  };

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

  #notifications(after: number): Response {
    if (this.records === null) return problem(404, "No such route");
    const date = new Date(this.clock.now() + this.clockAheadMs).toUTCString();
    return Response.json(
      { notifications: this.records.filter((record) => record.time > after) },
      { headers: this.tellsDate ? { date } : {} },
    );
  }
}

function afterOf(url: URL): number | null {
  const after = url.searchParams.get("after");
  return after === null ? null : Number(after);
}

export function problem(status: number, detail: string, headers: Record<string, string> = {}): Response {
  return Response.json({ status, detail, requestId: "r-1" }, { status, headers });
}
