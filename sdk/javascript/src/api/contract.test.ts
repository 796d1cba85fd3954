import { describe, expect, it } from "vitest";
import schemas from "../../../../tests/contract/schemas.json";
import { parseNotification, parseReadUntil } from "../notifications/notification";
import { ServiceError } from "./errors";
import { type Http } from "./http";
import { parseTaskResult, parseTaskStatus } from "./task-status";
import { TokenService } from "./token-service";

/** The service that gives one answer to every request. */
function serviceThatAnswers(body: unknown, status = 200): TokenService {
  const http: Http = {
    baseUrl: "https://api.example.com/",
    fetch: () => Promise.resolve(Response.json(body, { status })),
    getIdToken: () => Promise.resolve("id-token"),
  };
  return new TokenService(http);
}

const signal = new AbortController().signal;

// Each property of the contract is in an example, so a new one fails here until the client knows it.
describe("the examples of the contract", () => {
  it.each([...schemas.FinalNotification.examples, ...schemas.ProgressNotification.examples])(
    "parses a notification whole: $status",
    (example) => {
      expect(parseNotification(example)).toEqual(example);
    },
  );

  it.each(schemas.TaskStatus.examples)("parses a status whole: $status", (example) => {
    const { progress, ...rest } = { progress: undefined, ...example };
    expect(parseTaskStatus(example, example.taskId)).toEqual({ updatedAt: 0, ...rest, ...progress });
  });

  it.each(schemas.CancelRequest.examples)("parses the answer to a cancel request whole", (example) => {
    expect(parseTaskStatus(example, example.taskId)).toEqual({ updatedAt: 0, ...example });
  });

  it.each(schemas.TaskResult.examples)("parses a result whole", (example) => {
    expect(parseTaskResult(example)).toEqual({ ...example, taskId: undefined });
  });

  it.each(schemas.ReadMarker.examples)("parses a read marker", (example) => {
    expect(parseReadUntil(example)).toBe(example.readUntil);
  });

  it.each(schemas.Token.examples)("parses a token whole", async (example) => {
    expect(await serviceThatAnswers(example).fetchToken(signal)).toEqual(example);
  });

  it.each(schemas.NotificationPage.examples)("parses a page of the history whole", async (example) => {
    expect(await serviceThatAnswers(example).fetchHistory(null, signal)).toEqual({ ...example, servedAt: NaN });
  });

  it.each(schemas.Problem.examples.filter(({ status }) => status !== 401))(
    "makes a problem an error: $title",
    async (example) => {
      const error: unknown = await serviceThatAnswers(example, example.status)
        .markRead(0)
        .catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(ServiceError);
      expect(error).toMatchObject({ type: example.type, status: example.status, detail: example.detail });
      expect(error).toMatchObject({ requestId: example.requestId });
    },
  );
});
