import { describe, expect, test } from "vitest";
import { loadConfig } from "./config";

const CONFIG = { apiUrl: "/", region: "c", userPoolId: "d", userPoolClientId: "e" };
const answering =
  (body: unknown, status = 200) =>
  async () =>
    Response.json(body, { status });

describe("the application's settings", () => {
  test("are read", async () => {
    await expect(loadConfig(answering(CONFIG))).resolves.toEqual(CONFIG);
  });

  test("that are missing are all named", async () => {
    await expect(loadConfig(answering({ ...CONFIG, apiUrl: "", region: 7 }))).rejects.toThrow("apiUrl, region");
  });

  test("may include the largest request body of the ingest service", async () => {
    await expect(loadConfig(answering({ ...CONFIG, maxBodyBytes: 1_000 }))).resolves.toMatchObject({
      maxBodyBytes: 1_000,
    });
  });

  test.each([0, -1, 1.5, "1000", null])("with an invalid size, %j, are refused", async (maxBodyBytes) => {
    await expect(loadConfig(answering({ ...CONFIG, maxBodyBytes }))).rejects.toThrow("maxBodyBytes");
  });

  test("may include the task types to choose from", async () => {
    const taskTypes = ["default", "report"];
    await expect(loadConfig(answering({ ...CONFIG, taskTypes }))).resolves.toMatchObject({ taskTypes });
  });

  test.each(["report", [1], [""], null])("with invalid task types, %j, are refused", async (taskTypes) => {
    await expect(loadConfig(answering({ ...CONFIG, taskTypes }))).rejects.toThrow("taskTypes");
  });

  test("that cannot be read are reported with the status", async () => {
    await expect(loadConfig(answering({}, 503))).rejects.toThrow("503");
  });
});
