import { createElement, Fragment, type ReactNode } from "react";
import { renderToString } from "react-dom/server";
import { expect, test } from "vitest";
import { NotificationApiProvider, useConnection, useNotificationApi, useNotifications, useTask, useTasks } from ".";
import { FakeApi } from "../testing/fake-api";

// Mounting, StrictMode and hydration are tested in a browser: tests/package.

/** Renders what `use` returns as JSON, on a server. */
function onServer(fake: FakeApi, use: () => unknown): string {
  const Component = (): ReactNode => createElement(Fragment, null, JSON.stringify(use()));
  const page = createElement(NotificationApiProvider, { api: fake.api }, createElement(Component));
  return renderToString(page).replaceAll("&quot;", '"');
}

test("a server renders an idle client without tasks and notifications, whatever the client has", async () => {
  const fake = new FakeApi();
  await fake.connection.set({ state: "connected", error: null, since: 5 });
  await fake.allTasks.set([{ key: "k", state: "queued", sentAt: 1, changedAt: 1 }]);
  await fake.list.set({ items: [], unread: 3, readUntil: 9 });
  expect(onServer(fake, useConnection)).toBe('{"state":"idle","error":null,"since":0}');
  expect(onServer(fake, useTasks)).toBe("[]");
  expect(onServer(fake, useNotifications)).toBe('{"items":[],"unread":0,"readUntil":0}');
  expect(onServer(fake, () => useTask("t1") ?? "none")).toBe('"none"');
});

test("a server neither mounts the client nor listens to it", () => {
  const fake = new FakeApi();
  onServer(fake, () => [useConnection(), useTasks(), useTask("t1"), useTask(undefined), useNotifications()]);
  expect([fake.mounted, fake.listeners]).toEqual([0, 0]);
});

test("the client of the nearest provider is returned", () => {
  const fake = new FakeApi();
  const { api } = fake;
  let found: unknown;
  const Component = (): null => {
    found = useNotificationApi();
    return null;
  };
  renderToString(createElement(NotificationApiProvider, { api }, createElement(Component)));
  expect(found).toBe(api);
});

test("a component without a provider throws an error that says what is missing", () => {
  const Component = (): null => {
    useTasks();
    return null;
  };
  expect(() => renderToString(createElement(Component))).toThrow("no <NotificationApiProvider>");
});

test("reading is marked in the client", () => {
  const fake = new FakeApi();
  onServer(fake, () => useNotifications().markRead(7));
  expect(fake.marks).toEqual([7]);
});
