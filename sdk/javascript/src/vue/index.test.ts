import { createRenderer, createSSRApp, effectScope, h, nextTick, ref, shallowRef, type App, type Component } from "vue";
import { renderToString } from "vue/server-renderer";
import { afterEach, expect, test } from "vitest";
import { provideNotificationApi, useConnection, useNotificationApi, useNotifications, useTask, useTasks } from ".";
import type { Task } from "..";
import { FakeApi } from "../testing/fake-api";

// Hydration is tested in a browser: tests/package.

/** Components that render nothing need no DOM. */
const { createApp } = createRenderer<object, object>({
  createElement: () => ({}),
  createText: () => ({}),
  createComment: () => ({}),
  insert: () => undefined,
  remove: () => undefined,
  setText: () => undefined,
  setElementText: () => undefined,
  parentNode: () => null,
  nextSibling: () => null,
  patchProp: () => undefined,
});

const apps: App<object>[] = [];
afterEach(() => apps.splice(0).forEach((app) => app.unmount()));

/** What `use` returns in the setup of a component below one that provides the client. */
function mounted<T>(fake: FakeApi, use: () => T): T {
  let used: { value: T } | undefined;
  const app = createApp(
    provider(fake, () => {
      used = { value: use() };
    }),
  );
  app.mount({});
  apps.push(app);
  if (used === undefined) throw new Error("The component was not set up");
  return used.value;
}

function provider(fake: FakeApi, setup: () => void): Component {
  const child = { setup: () => (setup(), () => null) };
  return { setup: () => (provideNotificationApi(fake.api), () => h(child)) };
}

function task(taskId: string): Task {
  return { key: taskId, taskId, state: "queued", sentAt: 1, changedAt: 1 };
}

test("the client is mounted as long as the component that provides it", () => {
  const fake = new FakeApi();
  mounted(fake, () => undefined);
  expect(fake.mounted).toBe(1);
  apps.pop()?.unmount();
  expect(fake.mounted).toBe(0);
});

test("refs follow the client until the component is unmounted", async () => {
  const fake = new FakeApi();
  const { state } = mounted(fake, useConnection);
  expect(state.value).toBe("idle");
  await fake.connection.set({ state: "connecting", error: null, since: 1 });
  expect(state.value).toBe("connecting");
  apps.pop()?.unmount();
  await fake.connection.set({ state: "connected", error: null, since: 2 });
  expect(state.value).toBe("connecting");
  expect(fake.listeners).toBe(0);
});

test("a ref has the current value in setup already", async () => {
  const fake = new FakeApi();
  await fake.allTasks.set([task("t1")]);
  const atSetup = mounted(fake, () => useTasks().value.length);
  expect(atSetup).toBe(1);
});

test("what changes between setup and mounting is not missed", async () => {
  const fake = new FakeApi();
  const tasks = mounted(fake, () => {
    const tasks = useTasks();
    void fake.allTasks.set([task("t1")]);
    return tasks;
  });
  await nextTick();
  expect(tasks.value).toHaveLength(1);
});

test("useTask follows its id, which may be missing", async () => {
  const fake = new FakeApi();
  await fake.task("t1").set(task("t1"));
  await fake.task("t2").set(task("t2"));
  const id = ref<string>();
  const current = mounted(fake, () => useTask(id));
  expect(current.value).toBeUndefined();
  id.value = "t1";
  expect(current.value?.taskId).toBe("t1");
  id.value = "t2";
  expect(current.value?.taskId).toBe("t2");
  expect(fake.task("t1").listeners).toBe(0);
  expect(fake.listeners).toBe(1);
});

test("notifications come as refs, and are marked as read in the client", async () => {
  const fake = new FakeApi();
  const { unread, readUntil, markRead } = mounted(fake, useNotifications);
  await fake.list.set({ items: [], unread: 2, readUntil: 5 });
  expect([unread.value, readUntil.value]).toEqual([2, 5]);
  markRead(7);
  expect(fake.marks).toEqual([7]);
});

test("a composable in a scope of its own follows the client for as long as that scope lives", async () => {
  const fake = new FakeApi();
  const scope = effectScope(true);
  const tasks = mounted(fake, () => scope.run(useTasks));
  apps.pop()?.unmount();
  await fake.allTasks.set([task("t1")]);
  expect(tasks?.value).toHaveLength(1);
  scope.stop();
  expect(fake.listeners).toBe(0);
});

test("a component without a provider throws an error that says what is missing", () => {
  const app = createApp({ setup: () => (useNotificationApi(), () => null) });
  app.config.warnHandler = () => undefined;
  expect(() => app.mount({})).toThrow("No component above");
});

test("a server neither mounts the client nor listens to it", async () => {
  const fake = new FakeApi();
  const seen = shallowRef<unknown>();
  const app = createSSRApp(
    provider(fake, () => {
      seen.value = [
        useConnection().state.value,
        useTasks().value,
        useTask(() => "t1").value,
        useNotifications().unread.value,
      ];
    }),
  );
  await renderToString(app);
  expect(seen.value).toEqual(["idle", [], undefined, 0]);
  expect([fake.mounted, fake.listeners]).toEqual([0, 0]);
});
