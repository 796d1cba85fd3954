import { afterEach, beforeEach, expect, test } from "vitest";
import { TokenService } from "../api/token-service";
import { UserStorage } from "../browser/user-storage";
import type { TabMessage } from "../tabs/tabs";
import { FakeClock } from "../testing/fake-clock";
import { problemResponse } from "../testing/fake-service";
import { FakeWebStorage } from "../testing/fake-web-storage";
import type { SessionContext } from "./context";
import { ReadMarker } from "./read-marker";
import { SessionState } from "./state";

let clock: FakeClock;
let storage: UserStorage;
let posted: number[];
let answers: Response[];
let sent: TabMessage[];
let markers: ReadMarker[];

function open(isLeader = true): ReadMarker {
  const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
    const { until } = JSON.parse(String(init?.body)) as { until: number };
    posted.push(until);
    return answers.shift() ?? Response.json({ readUntil: until });
  };
  const service = new TokenService({ baseUrl: "http://x.test/", fetch, getIdToken: async () => "id" });
  const tabs = { isLeader, send: (message: TabMessage) => sent.push(message) };
  const context = { state: new SessionState(), service, storage, tabs, clock } as unknown as SessionContext;
  const marker = new ReadMarker(context);
  marker.load();
  markers.push(marker);
  return marker;
}

const stored = (): string | null => storage.value("read-until").load();

beforeEach(() => {
  clock = new FakeClock();
  storage = new UserStorage("alice", new FakeWebStorage());
  [posted, answers, sent, markers] = [[], [], [], []];
});
afterEach(() => {
  for (const marker of markers) marker.stop();
});

test("several marks are sent with one request, and the other tabs are notified at once", async () => {
  const marker = open();
  marker.mark(10);
  marker.mark(20);
  expect(posted).toEqual([]);
  expect(sent).toEqual([
    { type: "read", until: 10 },
    { type: "read", until: 20 },
  ]);
  await clock.advance(60_000);
  expect([posted, stored()]).toEqual([[20], "20"]);
});

test("the marker never moves back, whatever arrives", () => {
  const marker = open();
  marker.receive(20);
  marker.follow(10);
  marker.receive(5);
  marker.mark(5);
  expect(marker.value).toBe(20);
});

test("a tab that does not lead sends nothing to the service", async () => {
  const marker = open(false);
  marker.mark(10);
  await clock.advance(60_000);
  expect([posted, stored(), sent, marker.value]).toEqual([[], null, [{ type: "read", until: 10 }], 10]);
});

test("a marker that came from the service is not sent back", async () => {
  open().receive(50);
  await clock.advance(60_000);
  expect([posted, sent]).toEqual([[], [{ type: "read", until: 50 }]]);
});

test("a failed request is repeated, and one that the service does not support is not", async () => {
  const marker = open();
  answers.push(problemResponse(503, "no"));
  marker.mark(10);
  await clock.advance(60_000);
  expect(posted).toEqual([10, 10]);
  answers.push(problemResponse(404, "no"));
  for (const time of [20, 30]) {
    marker.mark(time);
    await clock.advance(60_000);
  }
  expect(posted).toEqual([10, 10, 20]);
});

test("the marker survives a page load, and is sent where the service's is behind", async () => {
  open().mark(40);
  const next = open();
  expect(next.value).toBe(40);
  posted = [];
  next.receive(0);
  await clock.advance(2_000);
  expect(posted).toContain(40);
});
