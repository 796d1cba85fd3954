import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeMemory } from "../client/testing/harness";
import { finished } from "../client/testing/fake-topic";
import { SystemNotifications } from "./system-notifications";

class Shown {
  static asked = 0;
  static get permission(): string {
    this.asked += 1;
    return "granted";
  }
  static all: Shown[] = [];
  onclose: () => void = () => undefined;
  closed = 0;

  constructor(readonly title: string) {
    Shown.all.push(this);
  }

  close(): void {
    this.closed += 1;
    this.onclose();
  }
}

beforeEach(() => {
  Shown.all = [];
  vi.stubGlobal("Notification", Shown);
  vi.stubGlobal("document", { visibilityState: "hidden" });
});
afterEach(() => void vi.unstubAllGlobals());

test("what one user was shown is taken back before the next one comes", () => {
  const memory = new FakeMemory();
  memory.value = "on";
  const system = new SystemNotifications(memory);
  for (const taskId of ["a", "b"]) system.show(finished({ taskId }));
  Shown.all[0]?.close(); // by the person
  system.clear();
  expect(Shown.all.map(({ closed }) => closed)).toEqual([1, 1]);
});

test("nothing is shown unasked, and the browser is not asked each time whether it would be allowed", () => {
  const system = new SystemNotifications(new FakeMemory());
  Shown.asked = 0;
  system.show(finished({ taskId: "a" }));
  expect([Shown.all, Shown.asked]).toEqual([[], 0]);
});

test("nothing is shown to someone who looks at the page, and nothing asked either", () => {
  const memory = new FakeMemory();
  memory.value = "on";
  const system = new SystemNotifications(memory);
  Shown.asked = 0;
  vi.stubGlobal("document", { visibilityState: "visible" });
  system.show(finished({ taskId: "a" }));
  expect([Shown.all, Shown.asked]).toEqual([[], 0]);
});
