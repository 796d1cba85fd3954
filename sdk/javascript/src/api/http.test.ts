import { describe, expect, test } from "vitest";
import { SignedOutError } from "./errors";
import { request } from "./http";

describe("a request", () => {
  test("sends the token, no cookie, and uses no cache", async () => {
    const sent: RequestInit[] = [];
    const fetch = async (_: unknown, init?: RequestInit): Promise<Response> => {
      sent.push(init ?? {});
      return new Response();
    };
    await request({ fetch, getIdToken: async () => "id" }, "http://x.test/", { headers: { "idempotency-key": "k" } });
    expect(new Headers(sent[0]?.headers).get("authorization")).toBe("Bearer id");
    expect(new Headers(sent[0]?.headers).get("idempotency-key")).toBe("k");
    expect(sent[0]).toMatchObject({ credentials: "omit", cache: "no-store" });
  });

  test("is not sent when nobody is signed in", async () => {
    const http = { fetch: () => Promise.reject(new Error("sent")), getIdToken: async () => null };
    await expect(request(http, "http://x.test/")).rejects.toBeInstanceOf(SignedOutError);
  });

  test("reports the service's own detail, or else its status", async () => {
    const http = { getIdToken: async () => "id", fetch: async () => new Response("<html>", { status: 502 }) };
    await expect(request(http, "http://x.test/")).rejects.toMatchObject({
      message: "The service answered 502",
      status: 502,
    });
  });
});
