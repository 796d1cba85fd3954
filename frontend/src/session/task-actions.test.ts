import { NotificationError, ServiceError, type NotificationApi, type Task } from "notification-api-client";
import { beforeEach, expect, test } from "vitest";
import { TaskActions } from "./task-actions";

let tasks: Map<string, Task>;
let sent: [string, unknown][];
let resent: (string | undefined)[];
let hasCapacity: boolean;
let failure: Error | undefined;
let actions: TaskActions;

function list(taskId: string, state: Task["state"]): Task {
  const task: Task = { key: taskId, taskId, state, type: "report", data: `do ${taskId}`, sentAt: 1, changedAt: 1 };
  tasks.set(taskId, task);
  return task;
}

async function answer<T>(value: T): Promise<T> {
  if (failure !== undefined) throw failure;
  return value;
}

async function submit(type: string, data: unknown): Promise<unknown> {
  if (!hasCapacity) throw new NotificationError("outbox_full", "Too many tasks wait to be sent");
  return sent.push([type, data]);
}

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  [tasks, sent, resent, hasCapacity, failure] = [new Map(), [], [], true, undefined];
  const api = {
    submit,
    cancel: () => answer({}),
    result: () => answer({ message: "Finished task: whole" }),
    tasks: {
      get: (key: string) => tasks.get(key),
      resend: (key?: string) => resent.push(key),
      remove: (key: string) => tasks.delete(key),
    },
  };
  actions = new TaskActions(api as unknown as NotificationApi);
});

test("a task is sent again once, whatever the number of clicks", async () => {
  const task = list("a", "failed");
  actions.retry(task);
  actions.retry(task);
  await settled();
  expect([sent, actions.retried.has("a"), actions.noteOf(task)]).toEqual([
    [["report", "do a"]],
    true,
    "Sent again as a new task.",
  ]);
  actions.clear();
  expect([actions.retried.size, actions.noteOf(task)]).toEqual([0, undefined]);
});

test("a task that could not be sent again can be tried once more", async () => {
  const task = list("a", "failed");
  hasCapacity = false;
  actions.retry(task);
  await settled();
  expect(actions.noteOf(task)).toBe("Too many tasks are waiting to be sent. Try again later.");
  hasCapacity = true;
  actions.retry(task);
  expect(sent).toEqual([["report", "do a"]]);
});

test("an unsent task itself is sent each time", () => {
  const task = list("k", "unsent");
  actions.retry(task);
  actions.retry(task);
  expect([sent, resent]).toEqual([[], ["k", "k"]]);
});

test("the last ten results are kept", async () => {
  for (let id = 0; id < 12; id += 1) await actions.loadResult(list(`t${id}`, "finished"));
  expect([...actions.results.keys()]).toEqual(Array.from({ length: 10 }, (_, id) => `t${id + 2}`));
});

test("notes and results are removed with their task", async () => {
  actions.retry(list("a", "failed"));
  await actions.loadResult(list("b", "finished"));
  tasks.delete("a"); // as another tab does
  actions.remove(list("b", "finished"));
  expect([actions.notes.size, actions.results.size, actions.retried.size]).toEqual([0, 0, 0]);
});

test("a failed cancellation is mentioned only until the task has ended", async () => {
  failure = new ServiceError("busy", 503);
  const task = list("a", "running");
  await actions.cancel(task);
  expect(actions.noteOf(task)).toBe("The service cannot do this right now. Try again in a moment.");
  expect(actions.noteOf(list("a", "finished"))).toBeUndefined();
});

test("a cancellation that came too late is mentioned", async () => {
  failure = new ServiceError("The task has ended", 409);
  const task = list("a", "finished");
  await actions.cancel(task);
  expect(actions.noteOf(task)).toBe("It had ended before it could be cancelled.");
});

test("a service that cannot be reached is mentioned", async () => {
  failure = new TypeError("Failed to fetch");
  const task = list("a", "finished");
  await actions.loadResult(task);
  expect(actions.noteOf(task)).toBe("The service cannot be reached. Try again.");
});
