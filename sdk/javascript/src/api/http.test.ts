import { describe, expect, test } from "vitest";
import { SignedOutError } from "./errors";
import { request } from "./http";

const baseUrl = "http://x.test/api/";

describe("a request", () => {
  test("sends the token, no cookie, and uses no cache", async () => {
    const sent: RequestInit[] = [];
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      sent.push(init ?? {});
      return Response.json({});
    };
    await request({ baseUrl, fetch, getIdToken: async () => "id" }, "", { headers: { "idempotency-key": "k" } });
    expect(new Headers(sent[0]?.headers).get("authorization")).toBe("Bearer id");
    expect(new Headers(sent[0]?.headers).get("idempotency-key")).toBe("k");
    expect(sent[0]).toMatchObject({ credentials: "omit", cache: "no-store" });
  });

  test("is not sent when nobody is signed in", async () => {
    const http = { baseUrl, fetch: () => Promise.reject(new Error("sent")), getIdToken: async () => null };
    await expect(request(http, "")).rejects.toBeInstanceOf(SignedOutError);
  });

  test("reports the service's own detail, or else its status", async () => {
    const http = { baseUrl, getIdToken: async () => "id", fetch: async () => new Response("<html>", { status: 502 }) };
    await expect(request(http, "")).rejects.toMatchObject({
      message: "The service answered 502",
      status: 502,
    });
  });

  test.each([
    [403, "forbidden"],
    [404, "not_found"],
    [408, "unavailable"],
    [409, "conflict"],
    [410, "gone"],
    [422, "invalid_request"],
    [429, "rate_limited"],
    [503, "unavailable"],
  ])("that is answered %i has the code %s", async (status, code) => {
    const answer = async (): Promise<Response> => Response.json({ detail: "no" }, { status });
    await expect(request({ baseUrl, getIdToken: async () => "id", fetch: answer }, "")).rejects.toMatchObject({ code });
  });
});
