import { describe, expect, test } from "vitest";
import {
  INITIAL_STATE,
  connectionState,
  RESUME_TIMEOUT_MS,
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
const activity: ConnectionEvent = { type: "activity" };
const due: ConnectionEvent = { type: "retry-due" };
const failed: ConnectionEvent = { type: "failed", hasToken: true };
const broken: ConnectionEvent = { type: "interrupted", resumes: true };

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
  const all: ConnectionEvent[] = [
    start,
    opened,
    failed,
    activity,
    ended,
    broken,
    due,
    { type: "check-now" },
    { type: "online" },
  ];

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
  test("is resumed by the transport once, with a timeout", () => {
    const { machine, effects } = after([start, opened, STABLE_MS, broken]);
    expect(machine.phase).toBe("resuming");
    expect(effects).toEqual([{ type: "start-resume-timer", ms: RESUME_TIMEOUT_MS }]);
  });

  test("that resumes is live again and catches up", () => {
    const { machine, effects } = after([start, opened, STABLE_MS, broken, 500, activity]);
    expect([machine.phase, names(effects)]).toEqual(["connected", ["catch-up"]]);
  });

  test("that cannot resume is reopened by the client", () => {
    const { machine, effects } = after([start, opened, { type: "interrupted", resumes: false }]);
    expect([machine.phase, names(effects)]).toEqual(["waiting", ["close", "retry"]]);
  });

  test("that breaks again before it has resumed is reopened by the client", () => {
    expect(after([start, opened, STABLE_MS, broken, broken]).machine.phase).toBe("waiting");
  });

  test("that does not resume in time is reopened by the client", () => {
    expect(after([start, opened, STABLE_MS, broken, { type: "resume-timeout" }]).machine.phase).toBe("waiting");
  });

  test("that breaks soon after it has resumed is reopened with backoff", () => {
    const { machine, effects } = after([start, opened, STABLE_MS, broken, activity, 100, broken]);
    expect(machine.phase).toBe("waiting");
    expect(effects[1]).toMatchObject({ type: "retry", attempt: 1 });
  });

  test("ignores the resume timeout once it is live again", () => {
    expect(after([start, opened, STABLE_MS, broken, activity, { type: "resume-timeout" }]).machine.phase).toBe(
      "connected",
    );
  });

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

  test("happens beside the live stream", () => {
    const { machine, effects } = after([start, opened, renewalDue]);
    expect([connectionState(machine), names(effects)]).toEqual(["connected", ["renew"]]);
  });

  test("is not started twice", () => {
    expect(after([start, opened, renewalDue, renewalDue]).effects).toEqual([]);
  });

  test("schedules the next, and catches up on what the replaced stream may have missed", () => {
    const { machine, effects } = after([start, opened, renewalDue, { type: "renewed", newStream: true }]);
    expect([machine.renewing, names(effects)]).toEqual([false, ["schedule-renewal", "catch-up"]]);
  });

  test.each<[string, ConnectionEvent[], string, string[]]>([
    ["due while the transport resumes is tried again", [broken, renewalDue], "resuming", ["retry-renewal"]],
    [
      "that replaces a resuming stream is live",
      [renewalDue, broken, { type: "renewed", newStream: true }],
      "connected",
      ["schedule-renewal", "catch-up"],
    ],
    [
      "of the token alone leaves a resuming stream as it is",
      [renewalDue, broken, { type: "renewed", newStream: false }],
      "resuming",
      ["schedule-renewal"],
    ],
    ["at the stream limit does not wait until it is due", [{ type: "stream-limit" }], "connected", ["renew"]],
    ["at the stream limit is not started twice", [{ type: "stream-limit" }, { type: "stream-limit" }], "connected", []],
    [
      "at the stream limit that failed waits",
      [{ type: "stream-limit" }, { type: "renewal-failed" }, { type: "stream-limit" }],
      "connected",
      [],
    ],
  ])("%s", (_, events, phase, effects) => {
    const outcome = after([start, opened, STABLE_MS, ...events]);
    expect([outcome.machine.phase, names(outcome.effects)]).toEqual([phase, effects]);
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
    ["while the transport resumes", [start, opened, broken], "reconnecting"],
    ["without a network", [start, opened, { type: "offline" }, ended], "offline"],
    ["while an open stream still works without a network", [start, opened, { type: "offline" }], "connected"],
    ["when the network is back", [start, opened, { type: "offline" }, ended, { type: "online" }], "reconnecting"],
    ["when the session has ended", [start, opened, { type: "signed-out" }], "signed-out"],
  ])("%s", (_, events, state) => {
    expect(connectionState(after(events).machine)).toBe(state);
  });
});
