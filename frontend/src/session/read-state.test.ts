import type { TabCoordinator, TabMessage, TaskStore } from "notification-api-client";
import { applyChange, TokenService } from "notification-api-client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { shallowReactive } from "vue";
import { ReadState } from "./read-state";

let store: TaskStore;
let stored: string | null;
let posted: number[];
let answers: (() => Response)[];
let sent: TabMessage[];
let read: ReadState;

function finish(taskId: string, time: number): void {
  const notification = { taskId, status: "finished", message: "", time } as const;
  applyChange(store, { type: "notified", notification, at: time });
}

function open(isLeader: boolean): ReadState {
  const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
    const { until } = JSON.parse(String(init?.body)) as { until: number };
    posted.push(until);
    return answers.shift()?.() ?? Response.json({ readUntil: until });
  };
  const service = new TokenService({ fetch, getIdToken: async () => "id" }, { tokenUrl: "http://x.test/token" });
  const value = {
    load: () => stored,
    save: (saved: string) => void (stored = saved),
    clear: () => void (stored = null),
  };
  const tabs = { isLeader, send: (message: TabMessage) => sent.push(message) } as unknown as TabCoordinator;
  return new ReadState(store, service, value, tabs);
}

const problem = (status: number) => (): Response => Response.json({ detail: "no" }, { status });

beforeEach(() => {
  vi.useFakeTimers();
  store = shallowReactive(new Map());
  [stored, posted, answers, sent] = [null, [], [], []];
  read = open(true);
});
afterEach(() => {
  read.close();
  vi.useRealTimers();
});

test("what ended after the marker is unread, the newest first", () => {
  for (const time of [10, 20, 30]) finish(`t${time}`, time);
  read.receive(10);
  expect(read.unread.value.map(({ key }) => key)).toEqual(["t30", "t20"]);
});

test("several ends are marked with one request, and the other tabs are notified at once", async () => {
  finish("a", 10);
  read.markAll();
  finish("b", 20);
  read.markAll();
  expect([read.unread.value, posted]).toEqual([[], []]);
  expect(sent).toEqual([
    { type: "read", until: 10 },
    { type: "read", until: 20 },
  ]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([posted, stored]).toEqual([[20], "20"]);
});

test("the marker never moves back, whatever arrives", () => {
  read.receive(20);
  read.moveTo(10);
  read.receive(5);
  expect(read.readUntil.value).toBe(20);
});

test("a tab that does not lead sends nothing to the service", async () => {
  const other = open(false);
  finish("a", 10);
  other.markAll();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([posted, sent, other.unread.value]).toEqual([[], [{ type: "read", until: 10 }], []]);
});

test("a marker that came from the service is not sent back", async () => {
  read.receive(50);
  await vi.advanceTimersByTimeAsync(60_000);
  expect([posted, sent]).toEqual([[], [{ type: "read", until: 50 }]]);
});

test("a failed request is repeated, and one that the service does not support is not", async () => {
  answers.push(problem(503));
  finish("a", 10);
  read.markAll();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(posted).toEqual([10, 10]);
  answers.push(problem(404));
  for (const time of [20, 30]) {
    finish(`b${time}`, time);
    read.markAll();
    await vi.advanceTimersByTimeAsync(60_000);
  }
  expect(posted).toEqual([10, 10, 20]);
});

test("the marker survives a page load, and is sent where the service's is behind", async () => {
  stored = "40";
  const next = open(true);
  expect(next.readUntil.value).toBe(40);
  next.receive(0);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(posted).toEqual([40]);
});

test("the top of the list is read once the list shows all tasks again", async () => {
  const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  vi.stubGlobal("document", page);
  vi.stubGlobal("scrollY", 0);
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  const closing = new AbortController();
  read.setWholeList(false);
  read.watchPage(closing.signal, () => undefined);
  finish("a", 10);
  await vi.advanceTimersByTimeAsync(2_000);
  expect(read.unread.value).toHaveLength(1);
  read.setWholeList(true);
  expect(read.unread.value).toEqual([]);
  closing.abort();
  vi.unstubAllGlobals();
});
