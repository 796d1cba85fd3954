import { expect, test } from "vitest";
import { TokenService } from "../api/token-service";
import { FakeClock, settle } from "../testing/fake-clock";
import { problemResponse } from "../testing/fake-service";
import { KEPT_MS, StatusReader } from "./status-reader";
import type { Task } from "./task";

/** A reader of a service whose answers a test gives. */
class Reading {
  readonly clock = new FakeClock();
  readonly asked: string[] = [];
  readonly statuses: string[] = [];
  readonly forgotten: string[] = [];
  tasks: Task[] = [];
  inFlight = 0;
  mostInFlight = 0;
  answer: (taskId: string) => Promise<Response> = async () => Response.json({ status: "running" });
  readonly reader: StatusReader;

  constructor() {
    const fetch = async (url: unknown): Promise<Response> => {
      const taskId = String(url).split("/").at(-1) ?? "";
      this.asked.push(taskId);
      this.inFlight += 1;
      this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
      await new Promise((resolve) => setImmediate(resolve));
      this.inFlight -= 1;
      return this.answer(taskId);
    };
    const service = new TokenService({ baseUrl: "http://service.test/", fetch, getIdToken: async () => "id" });
    const listener = {
      status: ({ taskId, status }: { taskId: string; status: string }) => this.statuses.push(`${taskId} ${status}`),
      forgotten: ({ key }: Task) => this.forgotten.push(key),
    };
    const options = { clock: this.clock, random: () => 0 };
    this.reader = new StatusReader(service, () => this.tasks, listener, options);
  }

  list(count: number, sentAt = this.clock.now()): void {
    this.tasks = Array.from({ length: count }, (_, id) => {
      const key = `t${id}`;
      return { key, taskId: key, state: "queued", sentAt, changedAt: sentAt };
    });
  }
}

test("asks for each active task once while a connection delivers, a few at a time", async () => {
  const reading = new Reading();
  reading.list(30);
  reading.reader.setDelivering(true);
  reading.reader.start();
  while (reading.statuses.length < 30) await settle();
  await reading.clock.advance(3_600_000);
  expect([reading.asked.length, new Set(reading.asked).size]).toEqual([30, 30]);
  expect(reading.mostInFlight).toBeLessThanOrEqual(4);
  expect(reading.statuses[0]).toBe("t0 running");
});

test("asks again with backoff, up to every 15 s, only while none does", async () => {
  const reading = new Reading();
  reading.list(1);
  reading.reader.start();
  await reading.clock.advance(120_000);
  const before = reading.asked.length;
  expect(before).toBeGreaterThanOrEqual(8);
  await reading.clock.advance(150_000);
  expect(reading.asked.length - before).toBeLessThanOrEqual(20); // every 7.5 s at least
  reading.reader.setDelivering(true);
  await reading.clock.advance(20_000);
  const after = reading.asked.length;
  await reading.clock.advance(3_600_000);
  expect(reading.asked.length).toBe(after);
});

test("does not ask for a task that has ended meanwhile", async () => {
  const reading = new Reading();
  reading.list(1);
  reading.reader.start();
  await settle();
  reading.tasks = [];
  const before = reading.asked.length;
  await reading.clock.advance(60_000);
  expect(reading.asked.length).toBe(before);
});

test("a failed request is repeated, also while a connection delivers", async () => {
  const reading = new Reading();
  reading.list(1);
  reading.answer = async () => problemResponse(503, "busy");
  reading.reader.setDelivering(true);
  reading.reader.start();
  await reading.clock.advance(5_000);
  reading.answer = async () => Response.json({ status: "finished", message: "Finished task: x" });
  await reading.clock.advance(30_000);
  expect(reading.statuses).toEqual(["t0 finished"]);
});

test.each([
  ["of the last day may still end", 60_000, []],
  ["that is older is forgotten", KEPT_MS + 1, ["t0"]],
])("an unknown task %s", async (_, ageMs, forgotten) => {
  const reading = new Reading();
  reading.list(1, reading.clock.now() - ageMs);
  reading.answer = async () => problemResponse(404, "unknown");
  reading.reader.setDelivering(true);
  reading.reader.start();
  await reading.clock.advance(60_000);
  expect([reading.asked.length, reading.forgotten]).toEqual([1, forgotten]);
});

test("an old task of which the service knows no more than its id is forgotten", async () => {
  const reading = new Reading();
  reading.list(1, reading.clock.now() - KEPT_MS - 1);
  reading.answer = async () => Response.json({ status: "queued" });
  reading.reader.start();
  await settle();
  expect([reading.forgotten, reading.statuses]).toEqual([["t0"], []]);
});

test.each([
  ["was queued a moment ago", 0, { status: "queued" }],
  ["waits for its next attempt", KEPT_MS + 1, { status: "queued", updatedAt: 1 }],
])("a task is not forgotten that %s", async (_, ageMs, body) => {
  const reading = new Reading();
  reading.list(1, reading.clock.now() - ageMs);
  reading.answer = async () => Response.json(body);
  reading.reader.start();
  await settle();
  expect([reading.forgotten, reading.statuses]).toEqual([[], ["t0 queued"]]);
});

test("a task that becomes old while a connection delivers is asked for again, once an hour at most", async () => {
  const reading = new Reading();
  reading.list(1);
  reading.answer = async () => Response.json({ status: "queued" });
  reading.reader.setDelivering(true);
  reading.reader.start();
  await reading.clock.advance(KEPT_MS - 3_600_000);
  expect(reading.asked.length).toBe(1);
  reading.answer = async () => Response.json({ status: "queued", updatedAt: 1 });
  await reading.clock.advance(5 * 3_600_000);
  expect(reading.asked.length).toBeGreaterThan(2);
  expect(reading.asked.length).toBeLessThanOrEqual(6);
  reading.answer = async () => Response.json({ status: "queued" });
  await reading.clock.advance(3_700_000);
  expect(reading.forgotten).toEqual(["t0"]);
});

test.each([429, 503])(
  "a %i ends the round until its Retry-After is over, whatever the connection does",
  async (status) => {
    const reading = new Reading();
    reading.list(30);
    reading.answer = async () => problemResponse(status, "busy", { "retry-after": "60" });
    reading.reader.start();
    await reading.clock.advance(10_000);
    reading.reader.setDelivering(true);
    reading.reader.setDelivering(false);
    await reading.clock.advance(45_000);
    expect(reading.asked.length).toBeLessThanOrEqual(4);
    reading.answer = async () => Response.json({ status: "running" });
    await reading.clock.advance(6_000);
    while (reading.statuses.length < 30) await settle();
  },
);

test.each([
  ["a request that is refused", () => problemResponse(400, "no")],
  ["an answer without a status", () => Response.json({})],
  ["an answer that is not JSON", () => new Response("<html>")],
])("%s is not repeated while a connection delivers", async (_, answer) => {
  const reading = new Reading();
  reading.list(1);
  reading.answer = async () => answer();
  reading.reader.setDelivering(true);
  reading.reader.start();
  await reading.clock.advance(600_000);
  expect([reading.asked.length, reading.forgotten]).toEqual([1, []]);
});

test("a request that does not reach the service is repeated", async () => {
  const reading = new Reading();
  reading.list(1);
  reading.answer = () => Promise.reject(new TypeError("Failed to fetch"));
  reading.reader.setDelivering(true);
  reading.reader.start();
  await reading.clock.advance(60_000);
  expect(reading.asked.length).toBeGreaterThan(1);
});

test("each of many tasks gets its turn again", async () => {
  const reading = new Reading();
  reading.list(120);
  reading.reader.start();
  while (reading.asked.length < 500) await reading.clock.advance(1_000);
  reading.reader.stop();
  const times = new Map<string, number>();
  for (const taskId of reading.asked) times.set(taskId, (times.get(taskId) ?? 0) + 1);
  expect(times.size).toBe(120);
  const counts = [...times.values()];
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2);
});

test("asks for nothing once it is stopped", async () => {
  const reading = new Reading();
  reading.list(10);
  reading.reader.start();
  reading.reader.stop();
  await reading.clock.advance(60_000);
  expect([reading.asked.length <= 4, reading.statuses]).toEqual([true, []]);
});
