import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { StreamError } from "../api/errors";
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
  readonly open: OpenStream = withFallback(this.fetch.open, this.sdk.open);

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
      ({ message, tokenRefused }: StreamError) => [message, tokenRefused],
    );
  }

  async attempts(...errors: (StreamError | undefined)[]): Promise<unknown[]> {
    const outcomes: unknown[] = [];
    for (const error of errors) outcomes.push(await this.attempt(error));
    return outcomes;
  }
}

const blocked = new UnreachableError("blocked");
const refused = new StreamError("Momento: NOT_FOUND");
let logged: unknown[][];

beforeEach(() => {
  logged = [];
  vi.spyOn(console, "error").mockImplementation((...all: unknown[]) => void logged.push(all));
});
afterEach(() => void vi.restoreAllMocks());

describe("where fetch does not reach Momento although the token service answers", () => {
  const change = "Streams over fetch do not reach Momento: the Momento SDK is used from now on";

  test("another token is asked for each time, which only a service that answers can give", async () => {
    const t = new Transports();
    expect(await t.attempts(blocked, blocked)).toEqual(Array(2).fill(["blocked", true]));
    expect(t.sdk.streams).toEqual([]);
  });

  test("the SDK is used after three streams, and that is reported once", async () => {
    const t = new Transports();
    expect((await t.attempts(blocked, blocked, blocked)).at(-1)).toEqual([change, false]);
    await t.attempt();
    await t.attempt();
    expect([t.fetch.streams.length, t.sdk.streams.length, logged]).toEqual([3, 2, [[change, blocked]]]);
  });
});

describe("fetch stays in use", () => {
  test.each<[string, (StreamError | undefined)[]]>([
    ["where Momento refuses", Array<StreamError>(4).fill(refused)],
    ["where a refusal shows in between that answers can be read", [blocked, blocked, refused, blocked]],
    ["where it has worked before", [undefined, blocked, blocked, blocked, blocked]],
  ])("%s", async (_, outcomes) => {
    const t = new Transports();
    await t.attempts(...outcomes);
    void t.attempt();
    expect([t.fetch.streams.length, t.sdk.streams.length, logged]).toEqual([outcomes.length + 1, 0, []]);
  });

  test("with its token where it has worked before", async () => {
    const t = new Transports();
    expect(await t.attempts(undefined, blocked)).toEqual(["opened", ["blocked", false]]);
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
