import { describe, expect, test } from "vitest";
import { parseTrailers, refusalInHeaders, toStreamError } from "./grpc-status";

const trailers = (text: string): Map<string, string> => parseTrailers(new TextEncoder().encode(text));
const headersOnly = (headers: Record<string, string>, status = 200): Response =>
  new Response(null, { status, headers });

describe("a status", () => {
  test.each([
    ["grpc-status:0\r\n", "Momento ended the stream", false],
    [
      "grpc-status:16\r\ngrpc-message:The%20token%20has expired\r\n",
      "Momento: UNAUTHENTICATED: The token has expired",
      true,
    ],
    ["grpc-status:7\r\n", "Momento: PERMISSION_DENIED", true],
    ["grpc-status:5\r\ngrpc-message:no cache\r\n", "Momento: NOT_FOUND: no cache", false],
    [
      "grpc-status:8\r\nerr:topic_limit\r\ngrpc-message:Limit\r\n",
      "Momento: RESOURCE_EXHAUSTED: topic_limit: Limit",
      false,
    ],
    ["Grpc-Status: 14\r\nGRPC-MESSAGE: down\r\n", "Momento: UNAVAILABLE: down", false],
    ["grpc-status:99\r\n", "Momento: status 99", false],
    ["grpc-message:no status\r\n", "Momento: UNKNOWN: no status", false],
    ["", "Momento: UNKNOWN", false],
    ["grpc-status:13\r\ngrpc-message:100%\r\nno colon\r\n", "Momento: INTERNAL: 100%", false],
  ])("in the trailers %j is %j", (text, message, tokenRefused) => {
    expect(toStreamError(trailers(text))).toMatchObject({ message, tokenRefused });
  });

  test("of any length has a short message", () => {
    expect(toStreamError(trailers(`grpc-status:2\r\ngrpc-message:${"x".repeat(100_000)}`)).message).toHaveLength(200);
  });
});

describe("an answer's headers", () => {
  test.each([
    [{ "grpc-status": "16", "grpc-message": "expired" }, 200, "Momento: UNAUTHENTICATED: expired", true],
    [{ "grpc-status": "8" }, 429, "Momento: RESOURCE_EXHAUSTED", false],
    [{}, 401, "Momento: HTTP status 401", true],
    [{}, 403, "Momento: HTTP status 403", true],
    [{}, 503, "Momento: HTTP status 503", false],
  ])("%j with status %i refuse the stream", (headers, status, message, tokenRefused) => {
    expect(refusalInHeaders(headersOnly(headers, status))).toMatchObject({ message, tokenRefused });
  });

  test.each([{}, { "grpc-status": "0" }])("%j refuse nothing", (headers) => {
    expect(refusalInHeaders(headersOnly(headers))).toBeNull();
  });
});
