import { expect, test } from "vitest";
import { problemResponse } from "../testing/fake-service";
import { TokenService } from "./token-service";

function serviceThat(answers: Response): { service: TokenService; requests: string[] } {
  const requests: string[] = [];
  const fetch = async (url: unknown, init?: RequestInit): Promise<Response> => {
    requests.push(`${init?.method ?? "GET"} ${String(url)}${init?.body === undefined ? "" : ` ${String(init.body)}`}`);
    return answers;
  };
  const service = new TokenService({ baseUrl: "http://x.test/api/", fetch, getIdToken: async () => "id" });
  return { service, requests };
}

test("a task's status has the known facts, in one shape", async () => {
  const { service, requests } = serviceThat(
    Response.json({
      taskId: "a b",
      status: "running",
      type: "report",
      attempt: 2,
      maxAttempts: 5,
      progress: { percent: 40, message: "2 of 5" },
      input: { month: 10 },
      updatedAt: 7,
      cancelRequestedAt: 6,
      later: "version",
    }),
  );
  expect(await service.task("a b")).toEqual({
    taskId: "a b",
    status: "running",
    type: "report",
    attempt: 2,
    maxAttempts: 5,
    percent: 40,
    message: "2 of 5",
    input: { month: 10 },
    updatedAt: 7,
    cancelRequestedAt: 6,
  });
  expect(requests).toEqual(["GET http://x.test/api/task/a%20b"]);
});

test("a status of which only the id is known has the time 0", async () => {
  const { service } = serviceThat(Response.json({ taskId: "t", status: "queued" }));
  expect(await service.task("t")).toEqual({ taskId: "t", status: "queued", updatedAt: 0 });
});

test("a status is read without times that no date has", async () => {
  const body = { status: "running", time: 1e300, updatedAt: 5, cancelRequestedAt: 1e300, startedAt: 1e300 };
  expect(await serviceThat(Response.json(body)).service.task("t")).toEqual({
    taskId: "t",
    status: "running",
    updatedAt: 5,
  });
});

test.each([null, {}, { status: "exploded" }])("%j is no status", async (body) => {
  await expect(serviceThat(Response.json(body)).service.task("t")).rejects.toMatchObject({ code: "not_the_api" });
});

test("a whole result", async () => {
  const { service, requests } = serviceThat(Response.json({ taskId: "t", message: "Finished task: x", data: [1] }));
  expect(await service.result("t")).toEqual({ message: "Finished task: x", data: [1] });
  expect(requests).toEqual(["GET http://x.test/api/task/t/result"]);
});

test("a cancellation says what the task was doing", async () => {
  const { service, requests } = serviceThat(
    Response.json({ taskId: "t", status: "running", cancelRequestedAt: 9 }, { status: 202 }),
  );
  expect(await service.cancel("t")).toMatchObject({ status: "running", cancelRequestedAt: 9 });
  expect(requests).toEqual(["POST http://x.test/api/task/t/cancel"]);
});

test("a cancellation that comes too late is an error with the status", async () => {
  const { service } = serviceThat(problemResponse(409, "The task has ended"));
  await expect(service.cancel("t")).rejects.toMatchObject({ status: 409, message: "The task has ended" });
});

test("the read marker is sent, and answered with the service's own", async () => {
  const { service, requests } = serviceThat(Response.json({ readUntil: 40 }));
  expect(await service.markRead(50)).toBe(40);
  expect(requests).toEqual(['POST http://x.test/api/notifications/read {"until":50}']);
});
