import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiHarness, type Tab } from "../testing/api-harness";
import { FakeBrowser, FakePage } from "../testing/fake-browser";
import { settle } from "../testing/fake-clock";
import { problemResponse } from "../testing/fake-service";
import { finished } from "../testing/fake-topic";

let browser: FakeBrowser;
let page: FakePage;
let h: ApiHarness;

beforeEach(() => {
  browser = new FakeBrowser();
  page = new FakePage();
  h = new ApiHarness();
});
afterEach(() => void vi.unstubAllGlobals());

const stateOf = ({ api }: Tab): string => api.connection.getSnapshot().state;

describe("two tabs", () => {
  test("share one stream, list the same tasks and announce each end once", async () => {
    const [one, two] = [await h.started(), await h.started()];
    h.topic.last.item({ taskId: "a" });
    await settle();
    expect([h.topic.streams.length, stateOf(one), stateOf(two)]).toEqual([1, "connected", "connected"]);
    expect(two.api.tasks.getSnapshot()).toEqual(one.api.tasks.getSnapshot());
    const announced = [one, two].flatMap(({ notifications }) => notifications.map(({ announce }) => announce));
    expect(announced.sort()).toEqual([false, true]);
  });

  test("have a stream each where the application wants it so", async () => {
    await h.started({ shareConnection: false });
    await h.started({ shareConnection: false });
    expect([h.topic.openCount, browser.channelCount]).toEqual([2, 0]);
  });

  test("settle a promise in the tab that has it, whichever tab has sent the task", async () => {
    h.service.reachable = false;
    const [one, two] = [await h.started(), await h.started()];
    const submitted = one.api.submit("report", "x", { idempotencyKey: "k" });
    const refused = one.api.submit("report", "y", { idempotencyKey: "l" }).catch((error: unknown) => error);
    await settle();
    h.service.reachable = true;
    h.service.reply("/task", Response.json({ taskId: "t" }, { status: 202 }), problemResponse(413, "too large"));
    two.api.retry();
    await settle();
    expect(await submitted).toEqual({ taskId: "t", key: "k" });
    expect(await refused).toMatchObject({ name: "ServiceError", status: 413, detail: "too large" });
  });

  test("send a task once, whatever their number", async () => {
    h.service.reachable = false;
    const tabs = [await h.started(), await h.started(), await h.started()];
    const submitted = tabs[1]?.api.submit("report", "x", { idempotencyKey: "k" });
    await settle();
    h.service.reachable = true;
    const before = h.service.posts.length;
    for (const { api } of tabs) api.retry();
    await submitted;
    await settle();
    expect(h.service.posts.length - before).toBe(1);
  });

  test("sign out together, and nothing stays stored", async () => {
    const [one, two] = [await h.started(), await h.started()];
    h.topic.last.item({ taskId: "a" });
    await one.api.signOut();
    await settle();
    for (const tab of [one, two]) {
      expect(tab.api.connection.getSnapshot()).toMatchObject({ state: "signed-out", error: null });
      expect(tab.api.tasks.getSnapshot()).toEqual([]);
    }
    expect([h.storage.length, h.topic.openCount, browser.channelCount]).toEqual([0, 0, 0]);
  });

  test("sign out together also where one of them is stopped", async () => {
    const [one, two] = [await h.started(), await h.started()];
    two.api.stop();
    await two.api.signOut();
    await settle();
    expect([stateOf(one), stateOf(two)]).toEqual(["signed-out", "signed-out"]);
  });

  test("have the same read marker, which one of them sends", async () => {
    const [one, two] = [await h.started(), await h.started()];
    h.topic.last.item({ taskId: "a", time: 10 });
    await settle();
    two.api.notifications.markRead();
    await h.clock.advance(5_000);
    for (const { api } of [one, two])
      expect(api.notifications.getSnapshot()).toMatchObject({ unread: 0, readUntil: 10 });
    expect(h.service.marked).toEqual([10]);
  });

  test("report the same errors", async () => {
    const [one, two] = [await h.started(), await h.started()];
    h.service.reachable = false;
    h.topic.accepting = false;
    h.topic.last.listener.ended(new Error("lost") as never);
    await h.clock.advance(15_000);
    expect([stateOf(one), stateOf(two)]).toEqual(["reconnecting", "reconnecting"]);
    expect(two.api.connection.getSnapshot().error).toEqual(one.api.connection.getSnapshot().error);
  });
});

describe("the leading tab", () => {
  test("is followed by another one, which misses nothing", async () => {
    const [one, two] = [await h.started(), await h.started()];
    h.topic.last.item({ taskId: "a" });
    await settle();
    one.api.stop();
    h.service.history = [finished({ taskId: "a" }), finished({ taskId: "b" })];
    await settle();
    expect([h.topic.openCount, stateOf(one), stateOf(two)]).toEqual([1, "idle", "connected"]);
    expect(two.notifications.map(({ taskId }) => taskId)).toEqual(["a", "b"]);
  });

  test("gives up its lock and its place in the queue when its page is left", async () => {
    await h.started();
    await h.started();
    page.dispatch("pagehide", { persisted: true });
    await settle();
    expect([browser.locks.heldNames, browser.channelCount, h.topic.openCount]).toEqual([[], 0, 0]);
    page.dispatch("pageshow", { persisted: true });
    await settle();
    expect([browser.channelCount, h.topic.openCount]).toEqual([2, 1]);
  });

  test("that is frozen is replaced within half a minute, and closes its stream once it notices", async () => {
    const [one, two] = [await h.started(), await h.started()];
    browser.freeze(0);
    await h.clock.advance(35_000);
    expect([h.topic.streams.length, h.topic.openCount, h.topic.streams[0]?.closed]).toEqual([2, 1, true]);
    browser.thaw();
    h.topic.last.item({ taskId: "a" });
    await settle();
    for (const tab of [one, two]) {
      expect(stateOf(tab)).toBe("connected");
      expect(tab.notifications).toHaveLength(1);
    }
  });

  test("is not replaced while it answers, or while nobody looks, or while the machine sleeps", async () => {
    await h.started();
    await h.started();
    await h.clock.advance(120_000);
    browser.freeze(0);
    page.setVisible(false);
    await h.clock.advance(120_000);
    browser.thaw();
    page.setVisible(true);
    h.clock.sleep(3_600_000);
    await h.clock.advance(15_000);
    expect([browser.stolen, h.topic.openCount]).toEqual([0, 1]);
  });
});
