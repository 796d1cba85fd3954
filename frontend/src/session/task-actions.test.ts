import { applyChange, TokenService, type Task, type TaskChange, type TaskStore } from "notification-api-client";
import { beforeEach, expect, test } from "vitest";
import { TaskActions } from "./task-actions";
import type { UserTasks } from "./user-tasks";

let store: TaskStore;
let sent: unknown[];
let resent: string[];
let hasCapacity: boolean;
let answer: () => Response;
let actions: TaskActions;

function list(taskId: string, status: "failed" | "finished" | "progress"): Task {
  const notification = { taskId, status, message: "x", time: 1, input: `do ${taskId}` } as const;
  applyChange(store, { type: "notified", notification, at: 1 });
  return taskOf(taskId);
}

function taskOf(key: string): Task {
  return store.get(key) as Task;
}

beforeEach(() => {
  [store, sent, resent, hasCapacity] = [new Map(), [], [], true];
  answer = () => Response.json({ message: "Finished task: whole" });
  const tasks = {
    store,
    change: (change: TaskChange) => applyChange(store, change),
    send: (data: unknown) => hasCapacity && sent.push(data) > 0,
    remove: (key: string) => store.delete(key),
  } as unknown as UserTasks;
  const fetch = async (): Promise<Response> => answer();
  const service = new TokenService({ fetch, getIdToken: async () => "id" }, { tokenUrl: "http://x.test/token" });
  actions = new TaskActions(tasks, service, (key) => resent.push(key));
});

test("a task is sent again once, whatever the number of clicks", () => {
  const task = list("a", "failed");
  actions.retry(task);
  actions.retry(task);
  expect([sent, actions.retried.has("a"), actions.noteOf(task)]).toEqual([["do a"], true, "Sent again as a new task."]);
  actions.clear();
  expect([actions.retried.size, actions.noteOf(task)]).toEqual([0, undefined]);
});

test("a task that could not be sent again can be tried once more", () => {
  const task = list("a", "failed");
  hasCapacity = false;
  actions.retry(task);
  expect(actions.noteOf(task)).toBe("Too many tasks are waiting to be sent. Try again later.");
  hasCapacity = true;
  actions.retry(task);
  expect(sent).toEqual(["do a"]);
});

test("an unsent task itself is sent each time", () => {
  applyChange(store, { type: "added", key: "k", data: "x", at: 1 });
  applyChange(store, { type: "unsent", key: "k", at: 2 });
  actions.retry(taskOf("k"));
  actions.retry(taskOf("k"));
  expect([sent, resent]).toEqual([[], ["k", "k"]]);
});

test("the last ten results are kept", async () => {
  for (let id = 0; id < 12; id += 1) await actions.loadResult(list(`t${id}`, "finished"));
  expect([...actions.results.keys()]).toEqual(Array.from({ length: 10 }, (_, id) => `t${id + 2}`));
});

test("notes and results are removed with their task", async () => {
  actions.retry(list("a", "failed"));
  await actions.loadResult(list("b", "finished"));
  store.delete("a"); // as another tab does
  actions.remove(taskOf("b"));
  expect([actions.notes.size, actions.results.size, actions.retried.size]).toEqual([0, 0, 0]);
});

test("a failed cancellation is mentioned only until the task has ended", async () => {
  answer = () => Response.json({ detail: "busy" }, { status: 503 });
  await actions.cancel(list("a", "progress"));
  expect(actions.noteOf(taskOf("a"))).toBe("The service cannot do this right now. Try again in a moment.");
  expect(actions.noteOf(list("a", "finished"))).toBeUndefined();
});

test("a service that cannot be reached is mentioned", async () => {
  answer = () => {
    throw new TypeError("Failed to fetch");
  };
  await actions.loadResult(list("a", "finished"));
  expect(actions.noteOf(taskOf("a"))).toBe("The service cannot be reached. Try again.");
});
