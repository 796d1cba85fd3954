import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StreamError } from "../api/errors";
import { settle } from "../testing/fake-clock";
import { disposableToken } from "../testing/fake-momento";
import { FakeTopic } from "../testing/fake-topic";
import { RecordedEvents } from "../testing/recorded-events";
import { UnreachableError } from "./fetch-stream";
import { withFallback } from "./open-stream";
import type { OpenStream } from "./stream";

/** Streams over fetch, which the test refuses, and over the SDK. */
class Transports {
  readonly fetch = new FakeTopic();
  readonly sdk = new FakeTopic();
  isReachable = true;
  readonly open: OpenStream = withFallback(this.fetch.open, this.sdk.open, () => Promise.resolve(this.isReachable));

  constructor() {
    this.fetch.accepting = false;
  }

  async attempt(error?: StreamError): Promise<unknown> {
    const stream = this.open(disposableToken(), new RecordedEvents());
    if (this.sdk.streams.length > 0) return stream.opened;
    if (error === undefined) this.fetch.last.accept();
    else this.fetch.last.refuse(error);
    return stream.opened.then(
      () => "opened",
      (reason: Error) => reason.message,
    );
  }

  async attempts(...errors: (StreamError | undefined)[]): Promise<unknown[]> {
    const outcomes: unknown[] = [];
    for (const error of errors) outcomes.push(await this.attempt(error));
    return outcomes;
  }
}

const blocked = new UnreachableError("blocked");
let logged: unknown[][];

beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((...all: unknown[]) => void logged.push(all));
});
afterEach(() => void vi.restoreAllMocks());

describe("where the browser blocks fetch although Momento answers", () => {
  test("the SDK is used after three streams, and that is reported once", async () => {
    const t = new Transports();
    const change = "The browser blocks streams over fetch: the Momento SDK is used from now on";
    expect(await t.attempts(blocked, blocked, blocked)).toEqual(["blocked", "blocked", change]);
    expect(t.sdk.streams).toEqual([]);
    await t.attempt();
    await t.attempt();
    expect([t.fetch.streams.length, t.sdk.streams.length, logged]).toEqual([3, 2, [[change, blocked]]]);
  });
});

describe("fetch stays in use", () => {
  test.each<[string, boolean, (StreamError | undefined)[]]>([
    ["where nothing answers: there is no network", false, [blocked, blocked, blocked, blocked]],
    ["where Momento refuses", true, Array<StreamError>(4).fill(new StreamError("Momento: NOT_FOUND"))],
    [
      "where a refusal shows in between that answers can be read",
      true,
      [blocked, blocked, new StreamError("no"), blocked],
    ],
    ["where it has worked before", true, [undefined, blocked, blocked, blocked, blocked]],
  ])("%s", async (_, isReachable, outcomes) => {
    const t = new Transports();
    t.isReachable = isReachable;
    await t.attempts(...outcomes);
    await settle();
    void t.attempt();
    expect([t.fetch.streams.length, t.sdk.streams.length, logged]).toEqual([outcomes.length + 1, 0, []]);
  });
});

test("a stream over fetch is passed on: its state, its position and its end", async () => {
  const t = new Transports();
  const stream = t.open(disposableToken(), new RecordedEvents(), "7");
  t.fetch.last.accept();
  await stream.opened;
  t.fetch.last.item("text");
  expect([t.fetch.last.resumedAt, stream.position, stream.isAlive()]).toEqual(["7", "0", true]);
  stream.close();
  expect([t.fetch.last.closed, stream.isAlive()]).toEqual([true, false]);
});
