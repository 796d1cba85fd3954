import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { StoredValue } from "../platform/user-storage";
import type { Announcement } from "./announcements";
import { SystemNotifications } from "./system-notifications";

const finished = (key: string): Announcement => ({
  key,
  status: "finished",
  headline: "Finished task: x",
  detail: null,
});

function storedValue(value: string | null): StoredValue {
  return { load: () => value, save: (saved) => (value = saved), clear: () => (value = null) };
}

class FakeNotification {
  static permissionReads = 0;
  static get permission(): string {
    this.permissionReads += 1;
    return "granted";
  }
  static all: FakeNotification[] = [];
  onclose: () => void = () => undefined;
  closed = 0;

  constructor() {
    FakeNotification.all.push(this);
  }

  close(): void {
    this.closed += 1;
    this.onclose();
  }
}

beforeEach(() => {
  FakeNotification.all = [];
  vi.stubGlobal("Notification", FakeNotification);
  vi.stubGlobal("document", { visibilityState: "hidden" });
});
afterEach(() => void vi.unstubAllGlobals());

test("one user's notifications are closed before the next user signs in", () => {
  const system = new SystemNotifications(storedValue("on"));
  for (const taskId of ["a", "b"]) system.show(finished(taskId));
  FakeNotification.all[0]?.close(); // by the user
  system.clear();
  expect(FakeNotification.all.map(({ closed }) => closed)).toEqual([1, 1]);
});

test("nothing is shown unless turned on, and the permission is not read each time", () => {
  const system = new SystemNotifications(storedValue(null));
  FakeNotification.permissionReads = 0;
  system.show(finished("a"));
  expect([FakeNotification.all, FakeNotification.permissionReads]).toEqual([[], 0]);
});

test("nothing is shown while the page is visible, and the permission is not read either", () => {
  const system = new SystemNotifications(storedValue("on"));
  FakeNotification.permissionReads = 0;
  vi.stubGlobal("document", { visibilityState: "visible" });
  system.show(finished("a"));
  expect([FakeNotification.all, FakeNotification.permissionReads]).toEqual([[], 0]);
});
