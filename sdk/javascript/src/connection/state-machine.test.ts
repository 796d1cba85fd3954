import { describe, expect, test } from "vitest";
import {
  INITIAL_STATE,
  connectionState,
  STABLE_MS,
  transition,
  type Effect,
  type ConnectionEvent,
  type MachineState,
} from "./state-machine";

const NOW = 1_000_000;

function after(events: (ConnectionEvent | number)[]): { machine: MachineState; effects: Effect[] } {
  let machine = INITIAL_STATE;
  let effects: Effect[] = [];
  let now = NOW;
  for (const event of events) {
    if (typeof event === "number") now += event;
    else [machine, effects] = transition(machine, event, now);
  }
  return { machine, effects };
}

const names = (effects: Effect[]): string[] => effects.map((effect) => effect.type);
const start: ConnectionEvent = { type: "start" };
const opened: ConnectionEvent = { type: "opened" };
const ended: ConnectionEvent = { type: "ended" };
const due: ConnectionEvent = { type: "retry-due" };
const failed: ConnectionEvent = { type: "failed", hasToken: true };

describe("from start to live", () => {
  test.each<[string, ConnectionEvent[], string, string[]]>([
    ["start connects", [start], "connecting", ["close", "connect"]],
    ["a second start changes nothing", [start, start], "connecting", []],
    [
      "opened is live, schedules the renewal and catches up",
      [start, opened],
      "connected",
      ["schedule-renewal", "catch-up"],
    ],
    ["a gap while live is caught up", [start, opened, { type: "gap" }], "connected", ["catch-up"]],
    ["a failure waits, and catches up without a stream", [start, failed], "waiting", ["close", "retry", "catch-up"]],
    [
      "without a token nothing is caught up",
      [start, { type: "failed", hasToken: false }],
      "waiting",
      ["close", "retry"],
    ],
    ["after the wait it connects", [start, failed, due], "connecting", ["close", "connect"]],
    ["a visible page does not wait", [start, failed, { type: "check-now" }], "connecting", ["close", "connect"]],
    ["back online, it does not wait", [start, failed, { type: "online" }], "connecting", ["close", "connect"]],
    ["stop closes", [start, opened, { type: "stop" }], "idle", ["close"]],
    ["the end of the session is signed out", [start, { type: "signed-out" }], "signed-out", ["close"]],
  ])("%s", (_, events, phase, effects) => {
    const outcome = after(events);
    expect(outcome.machine.phase).toBe(phase);
    expect(names(outcome.effects)).toEqual(effects);
  });
});

describe("nothing restarts", () => {
  const all: ConnectionEvent[] = [start, opened, failed, ended, due, { type: "check-now" }, { type: "online" }];

  test.each(all)("a signed-out client: $type", (event) => {
    const { machine, effects } = after([start, { type: "signed-out" }, event]);
    expect([machine.phase, effects]).toEqual(["signed-out", []]);
  });

  test.each(all.slice(1))("a stopped client except start: $type", (event) => {
    const { machine, effects } = after([start, { type: "stop" }, event]);
    expect([machine.phase, effects]).toEqual(["idle", []]);
  });

  test("a client that is signed out before it was started", () => {
    expect(after([{ type: "signed-out" }, start]).machine.phase).toBe("signed-out");
  });
});

describe("a broken connection", () => {
  test.each(["ended", "heartbeat-timeout"] as const)("after %s is reopened", (type) => {
    expect(names(after([start, opened, { type }]).effects)).toEqual(["close", "retry"]);
  });
});

describe("attempts", () => {
  test("increase while connections are not stable", () => {
    const { effects } = after([start, opened, ended, due, opened, ended, due, opened, ended]);
    expect(effects[1]).toEqual({ type: "retry", attempt: 2, retryAfterMs: 0 });
  });

  test("start again from 0 after a stable connection", () => {
    const { effects } = after([start, failed, due, failed, due, opened, STABLE_MS, ended]);
    expect(effects[1]).toMatchObject({ attempt: 0 });
  });

  test("carry the server's Retry-After", () => {
    const { effects } = after([start, { type: "failed", hasToken: false, retryAfterMs: 7000 }]);
    expect(effects[1]).toEqual({ type: "retry", attempt: 0, retryAfterMs: 7000 });
  });
});

describe("renewal", () => {
  const renewalDue: ConnectionEvent = { type: "renewal-due" };
  const oversized: ConnectionEvent = { type: "oversized" };

  test("happens beside the live stream", () => {
    const { machine, effects } = after([start, opened, renewalDue]);
    expect([connectionState(machine), effects]).toEqual(["connected", [{ type: "renew", newStream: false }]]);
  });

  test("is not started twice", () => {
    expect(after([start, opened, renewalDue, renewalDue]).effects).toEqual([]);
  });

  test("schedules the next, and catches up on what the replaced stream may have missed", () => {
    const { machine, effects } = after([start, opened, renewalDue, { type: "renewed", newStream: true }]);
    expect([machine.renewing, names(effects)]).toEqual([false, ["schedule-renewal", "catch-up"]]);
  });

  test.each<[string, ConnectionEvent[], Effect[]]>([
    ["does not wait until it is due", [oversized], [{ type: "renew", newStream: true }]],
    ["is not started twice", [oversized, oversized], []],
    ["that failed waits", [oversized, { type: "renewal-failed" }, oversized], []],
  ])("of an oversized stream %s", (_, events, effects) => {
    const outcome = after([start, opened, STABLE_MS, ...events]);
    expect([outcome.machine.phase, outcome.effects]).toEqual(["connected", effects]);
  });

  test("that fails leaves the client live and is tried again, later each time", () => {
    const fails: ConnectionEvent[] = [renewalDue, { type: "renewal-failed" }];
    const { machine, effects } = after([start, opened, ...fails, ...fails, ...fails]);
    expect(connectionState(machine)).toBe("connected");
    expect(effects).toEqual([{ type: "retry-renewal", attempt: 2, retryAfterMs: 0 }]);
  });

  test("is cancelled when the connection is lost meanwhile", () => {
    expect(after([start, opened, renewalDue, ended]).machine.renewing).toBe(false);
  });
});

describe("what is shown", () => {
  test.each<[string, ConnectionEvent[], string]>([
    ["before the first connection", [start], "connecting"],
    ["once open", [start, opened], "connected"],
    ["after a first attempt that failed", [start, failed], "reconnecting"],
    ["after a stream was lost", [start, opened, ended], "reconnecting"],
    ["without a network", [start, opened, { type: "offline" }, ended], "offline"],
    ["while an open stream still works without a network", [start, opened, { type: "offline" }], "connected"],
    ["when the network is back", [start, opened, { type: "offline" }, ended, { type: "online" }], "reconnecting"],
    ["when the session has ended", [start, opened, { type: "signed-out" }], "signed-out"],
  ])("%s", (_, events, state) => {
    expect(connectionState(after(events).machine)).toBe(state);
  });
});
