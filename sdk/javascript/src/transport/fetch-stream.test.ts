import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { disposableToken, FakeMomento, STREAM_HEADERS, type SubscribeRequest } from "../testing/fake-momento";
import { goldenAnswer, GOLDEN_REQUESTS } from "../testing/golden-frames";
import { RecordedEvents } from "../testing/recorded-events";
import { openFetchStream, UnreachableError } from "./fetch-stream";
import { MAX_FRAME_BYTES } from "./grpc-web-frames";
import type { Stream } from "./stream";

const [HEARTBEAT = ""] = goldenAnswer("a heartbeat").frames;
const TEXT = "Finished task: größer 🎉 ✓";
const OVERSIZED = Buffer.from([0, 255, 255, 255, 255]).toString("base64");

let momento: FakeMomento;
const listener = { current: new RecordedEvents() };
const streams: Stream[] = [];

beforeEach(async () => {
  momento = await FakeMomento.start();
  listener.current = new RecordedEvents();
});
afterEach(async () => {
  for (const stream of streams.splice(0)) stream.close();
  await momento.stop();
  vi.unstubAllGlobals();
});

function open(token = momento.token, position?: string): Stream {
  const stream = openFetchStream(token, listener.current, position);
  stream.opened.catch(() => undefined);
  streams.push(stream);
  return stream;
}

/** A stream that has received one heartbeat. */
async function opened(position?: string): Promise<{ stream: Stream; request: SubscribeRequest }> {
  const next = momento.next();
  const stream = open(momento.token, position);
  const request = await next;
  request.answer.writeHead(200, STREAM_HEADERS).write(HEARTBEAT);
  await stream.opened;
  return { stream, request };
}

/** How a stream ends whose request is answered so. */
async function failure(answer: (request: SubscribeRequest) => void): Promise<unknown> {
  const next = momento.next();
  const stream = open();
  answer(await next);
  return stream.opened.then(
    () => "opened",
    (error: unknown) => error,
  );
}

describe("a request", () => {
  test("is the gRPC-web call of the web SDK", async () => {
    const { request } = await opened();
    expect(request).toMatchObject({
      url: "/cache_client.pubsub.Pubsub/Subscribe",
      headers: {
        authorization: "key",
        "content-type": "application/grpc-web-text",
        accept: "application/grpc-web-text",
        "x-grpc-web": "1",
      },
      body: GOLDEN_REQUESTS.find(({ name }) => name === "from now on")?.body,
    });
  });

  test("resumes after the position", async () => {
    const { stream, request } = await opened("1764296000:7");
    expect(request.body).toBe(GOLDEN_REQUESTS.find(({ name }) => name === "after a position")?.body);
    expect(stream.position).toBe("1764296000:7");
  });

  test("goes to the token's own endpoint where the service names no other", async () => {
    const fetch = vi.fn(() => new Promise<Response>(() => undefined));
    vi.stubGlobal("fetch", fetch);
    open(disposableToken());
    expect(fetch.mock.calls).toEqual([
      ["https://web.cell.momento.test/cache_client.pubsub.Pubsub/Subscribe", expect.anything()],
    ]);
  });

  test.each(["not base64", btoa("not JSON"), btoa("null"), btoa('{"endpoint":"x"}')])(
    "is not made with the malformed token %j, and another is asked for",
    async (token) => {
      const stream = open({ ...momento.token, token });
      await expect(stream.opened).rejects.toMatchObject({ tokenRefused: true });
      expect(momento.requests).toEqual([]);
    },
  );
});

describe("an open stream", () => {
  test("reports items, gaps and heartbeats, and knows its position", async () => {
    const { stream, request } = await opened();
    for (const name of ["items", "an empty text", "a discontinuity"])
      request.answer.write(goldenAnswer(name).frames.join(""));
    expect((await listener.current.wait(9)).filter(([type]) => type !== "heartbeat")).toEqual([
      ["item", "a", "1764296000:1"],
      ["item", TEXT, "1764296000:2"],
      ["item", expect.stringContaining(TEXT), "1764296000:3"],
      ["item", "", "1764296000:4"],
      ["gap"],
      ["item", "after", "1764296001:8"],
    ]);
    expect(stream.position).toBe("1764296001:8");
  });

  test("passes over items that are not texts, and what a later version sends", async () => {
    const { stream, request } = await opened();
    for (const name of ["a binary item", "fields of a later version"])
      request.answer.write(goldenAnswer(name).frames.join(""));
    expect(await listener.current.wait(4)).toEqual([
      ["heartbeat"],
      ["heartbeat"],
      ["heartbeat"],
      ["item", "known", "1764296000:9"],
    ]);
    expect([stream.isAlive(), stream.position]).toEqual([true, "1764296000:9"]);
  });

  test("reads on while its listener runs, as some browsers hold a chunk back until it is asked for", async () => {
    const chunks = [HEARTBEAT, HEARTBEAT].map((text) => new TextEncoder().encode(text));
    const never = new Promise<never>(() => undefined);
    const read = vi.fn(() => (chunks.length > 0 ? Promise.resolve({ done: false, value: chunks.shift() }) : never));
    const body = { getReader: () => ({ read }) };
    const headers = new Headers(STREAM_HEADERS);
    vi.stubGlobal("fetch", () => Promise.resolve({ ok: true, status: 200, headers, body }));
    const reads: number[] = [];
    listener.current.heartbeat = () => {
      reads.push(read.mock.calls.length);
      if (reads.length === 2) stream.close();
    };
    const stream = open();
    await stream.opened;
    await vi.waitFor(() => expect(reads).toEqual([2, 3]));
  });
});

describe("a stream that ends", () => {
  test.each([
    ["with trailers", goldenAnswer("a clean end").frames.at(-1), "Momento ended the stream"],
    [
      "with a refusal",
      goldenAnswer("an exhausted quota").frames.at(-1),
      /RESOURCE_EXHAUSTED: topic_subscriptions_limit/,
    ],
    ["without trailers", "", "The connection to Momento broke"],
    ["within a frame", HEARTBEAT.slice(0, 6), "The connection to Momento broke"],
    ["with what is not base64", "<html>", /not base64/],
    ["with a frame that is too large", OVERSIZED, /frame of 4294967295 bytes/],
  ])("%s is reported once, and its connection is closed", async (_, text = "", message) => {
    const { stream, request } = await opened();
    request.answer.write(text);
    if (message === "The connection to Momento broke") request.answer.end();
    expect(await listener.current.wait(2)).toEqual([
      ["heartbeat"],
      ["ended", typeof message === "string" ? message : expect.stringMatching(message)],
    ]);
    expect(stream.isAlive()).toBe(false);
    await request.closed;
  });

  test("by a broken connection is reported", async () => {
    const { request } = await opened();
    request.answer.destroy();
    expect((await listener.current.wait(2)).at(-1)).toEqual(["ended", expect.stringMatching(/connection .* broke/)]);
  });

  test("right after its first message has opened, and is reported", async () => {
    const next = momento.next();
    const stream = open();
    (await next).answer.writeHead(200, STREAM_HEADERS).end(HEARTBEAT + goldenAnswer("a clean end").frames[1]);
    await stream.opened;
    expect((await listener.current.wait(2)).at(-1)).toEqual(["ended", "Momento ended the stream"]);
    expect(stream.isAlive()).toBe(false);
  });
});

describe("a stream that does not open", () => {
  test.each<[string, (request: SubscribeRequest) => void, object]>([
    [
      "refused in trailers",
      ({ answer }) => answer.writeHead(200, STREAM_HEADERS).end(goldenAnswer("an expired token").frames[0]),
      { message: "Momento: UNAUTHENTICATED: The token has expired: ü", tokenRefused: true },
    ],
    [
      "refused in headers",
      ({ answer }) =>
        answer.writeHead(200, { ...STREAM_HEADERS, "grpc-status": "5", "grpc-message": "no%20cache" }).end(),
      { message: "Momento: NOT_FOUND: no cache", tokenRefused: false },
    ],
    ["refused by HTTP", ({ answer }) => answer.writeHead(503).end(), { message: "Momento: HTTP status 503" }],
    [
      "without a message",
      ({ answer }) => answer.writeHead(200, STREAM_HEADERS).end(),
      { message: "The connection to Momento broke" },
    ],
    [
      "with another kind of answer",
      ({ answer }) => answer.writeHead(200, { "content-type": "text/html" }).end("<p>Sign in to this Wi-Fi</p>"),
      { message: "Not Momento's answer: text/html" },
    ],
  ])("%s says why", async (_, answer, error) => {
    expect(await failure(answer)).toMatchObject({ name: "StreamError", ...error });
    expect(listener.current.events).toEqual([]);
  });

  test("because nothing answers is unreachable", async () => {
    const { token } = momento;
    await momento.stop();
    await expect(open(token).opened).rejects.toBeInstanceOf(UnreachableError);
  });

  test("whose connection breaks before the answer is unreachable", async () => {
    expect(await failure(({ answer }) => answer.destroy())).toBeInstanceOf(UnreachableError);
  });
});

describe("close", () => {
  test("ends an open stream and its connection, and nothing is reported any more", async () => {
    const { stream, request } = await opened();
    stream.close();
    stream.close();
    await request.closed;
    expect([stream.isAlive(), listener.current.events]).toEqual([false, [["heartbeat"]]]);
  });

  test("ends a stream that is still being opened", async () => {
    const next = momento.next();
    const stream = open();
    const request = await next;
    stream.close();
    await expect(stream.opened).rejects.toThrow("Closed before it was opened");
    await request.closed;
    expect(listener.current.events).toEqual([]);
  });

  test("from within a listener stops the events of the same chunk", async () => {
    const next = momento.next();
    listener.current.heartbeat = () => stream.close();
    const stream = open();
    (await next).answer.writeHead(200, STREAM_HEADERS).write(goldenAnswer("items").frames.join(""));
    await stream.opened;
    await vi.waitFor(() => expect(stream.isAlive()).toBe(false));
    expect(listener.current.events).toEqual([]);
  });
});

test("an endless answer without a complete frame is refused before it is buffered", async () => {
  const length = MAX_FRAME_BYTES + 1;
  const header = Buffer.from([0, length >> 24, length >> 16, length >> 8, length]).toString("base64");
  expect(await failure(({ answer }) => answer.writeHead(200, STREAM_HEADERS).write(header))).toMatchObject({
    message: `Momento sent a frame of ${length} bytes`,
  });
});
