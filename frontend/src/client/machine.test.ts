import { describe, expect, test } from "vitest";
import {
  INITIAL,
  publicState,
  RESUME_GRACE_MS,
  STABLE_MS,
  step,
  type Effect,
  type Input,
  type Machine,
} from "./machine";

const NOW = 1_000_000;

function after(inputs: (Input | number)[]): { machine: Machine; effects: Effect[] } {
  let machine = INITIAL;
  let effects: Effect[] = [];
  let now = NOW;
  for (const input of inputs) {
    if (typeof input === "number") now += input;
    else [machine, effects] = step(machine, input, now);
  }
  return { machine, effects };
}

const names = (effects: Effect[]): string[] => effects.map((effect) => effect.do);
const start: Input = { type: "start" };
const opened: Input = { type: "opened" };
const ended: Input = { type: "ended" };
const alive: Input = { type: "alive" };
const due: Input = { type: "retry-due" };
const failed: Input = { type: "failed", tokenGiven: true };
const broken: Input = { type: "interrupted", resumes: true };

describe("from start to live", () => {
  test.each<[string, Input[], string, string[]]>([
    ["start connects", [start], "connecting", ["close", "connect"]],
    ["a second start changes nothing", [start, start], "connecting", []],
    ["opened is live, schedules the renewal and catches up", [start, opened], "live", ["schedule-renewal", "catch-up"]],
    ["a gap while live is caught up", [start, opened, { type: "gap" }], "live", ["catch-up"]],
    ["a failure waits, and asks for news without a stream", [start, failed], "waiting", ["close", "retry", "catch-up"]],
    ["no token, no asking", [start, { type: "failed", tokenGiven: false }], "waiting", ["close", "retry"]],
    ["the wait over, it connects", [start, failed, due], "connecting", ["close", "connect"]],
    ["looked at, it does not wait on", [start, failed, { type: "nudge" }], "connecting", ["close", "connect"]],
    ["back online, it does not wait on", [start, failed, { type: "online" }], "connecting", ["close", "connect"]],
    ["stop closes", [start, opened, { type: "stop" }], "stopped", ["close"]],
    ["refused is signed out", [start, { type: "refused" }], "signed-out", ["close"]],
  ])("%s", (_, inputs, phase, effects) => {
    const outcome = after(inputs);
    expect(outcome.machine.phase).toBe(phase);
    expect(names(outcome.effects)).toEqual(effects);
  });
});

describe("nothing revives", () => {
  const all: Input[] = [start, opened, failed, alive, ended, broken, due, { type: "nudge" }, { type: "online" }];

  test.each(all)("a signed-out client: $type", (input) => {
    const { machine, effects } = after([start, { type: "refused" }, input]);
    expect([machine.phase, effects]).toEqual(["signed-out", []]);
  });

  test.each(all.slice(1))("a stopped client but start: $type", (input) => {
    const { machine, effects } = after([start, { type: "stop" }, input]);
    expect([machine.phase, effects]).toEqual(["stopped", []]);
  });

  test("a client refused before it was started", () => {
    expect(after([{ type: "refused" }, start]).machine.phase).toBe("signed-out");
  });
});

describe("a broken connection", () => {
  test("is left to the transport once, for a while", () => {
    const { machine, effects } = after([start, opened, STABLE_MS, broken]);
    expect(machine.phase).toBe("resuming");
    expect(effects).toEqual([{ do: "grace", ms: RESUME_GRACE_MS }]);
  });

  test("that resumes is live again and catches up", () => {
    const { machine, effects } = after([start, opened, STABLE_MS, broken, 500, alive]);
    expect([machine.phase, names(effects)]).toEqual(["live", ["catch-up"]]);
  });

  test("that cannot resume is opened by us", () => {
    const { machine, effects } = after([start, opened, { type: "interrupted", resumes: false }]);
    expect([machine.phase, names(effects)]).toEqual(["waiting", ["close", "retry"]]);
  });

  test("that breaks again before it resumed is opened by us", () => {
    expect(after([start, opened, STABLE_MS, broken, broken]).machine.phase).toBe("waiting");
  });

  test("that does not resume in time is opened by us", () => {
    expect(after([start, opened, STABLE_MS, broken, { type: "grace-over" }]).machine.phase).toBe("waiting");
  });

  test("that breaks soon after it resumed is backed off from", () => {
    const { machine, effects } = after([start, opened, STABLE_MS, broken, alive, 100, broken]);
    expect(machine.phase).toBe("waiting");
    expect(effects[1]).toMatchObject({ do: "retry", attempt: 1 });
  });

  test("grace after it is live again means nothing", () => {
    expect(after([start, opened, STABLE_MS, broken, alive, { type: "grace-over" }]).machine.phase).toBe("live");
  });

  test.each(["ended", "silent"] as const)("%s is opened again", (type) => {
    expect(names(after([start, opened, { type }]).effects)).toEqual(["close", "retry"]);
  });
});

describe("attempts", () => {
  test("grow while connections do not hold", () => {
    const { effects } = after([start, opened, ended, due, opened, ended, due, opened, ended]);
    expect(effects[1]).toEqual({ do: "retry", attempt: 2, retryAfterMs: 0 });
  });

  test("start anew once one has held", () => {
    const { effects } = after([start, failed, due, failed, due, opened, STABLE_MS, ended]);
    expect(effects[1]).toMatchObject({ attempt: 0 });
  });

  test("carry the server's Retry-After", () => {
    const { effects } = after([start, { type: "failed", tokenGiven: false, retryAfterMs: 7000 }]);
    expect(effects[1]).toEqual({ do: "retry", attempt: 0, retryAfterMs: 7000 });
  });
});

describe("renewal", () => {
  const renewalDue: Input = { type: "renewal-due" };

  test("happens beside the live stream", () => {
    const { machine, effects } = after([start, opened, renewalDue]);
    expect([publicState(machine), names(effects)]).toEqual(["live", ["renew"]]);
  });

  test("is not begun twice", () => {
    expect(after([start, opened, renewalDue, renewalDue]).effects).toEqual([]);
  });

  test("schedules the next, and asks what the stream before it may not have brought", () => {
    const { machine, effects } = after([start, opened, renewalDue, { type: "renewed", swapped: true }]);
    expect([machine.renewing, names(effects)]).toEqual([false, ["schedule-renewal", "catch-up"]]);
  });

  test.each<[string, Input[], string, string[]]>([
    ["due while the transport resumes is looked at again", [broken, renewalDue], "resuming", ["retry-renewal"]],
    [
      "that ends the resuming is live",
      [renewalDue, broken, { type: "renewed", swapped: true }],
      "live",
      ["schedule-renewal", "catch-up"],
    ],
    [
      "of the token alone ends no resuming",
      [renewalDue, broken, { type: "renewed", swapped: false }],
      "resuming",
      ["schedule-renewal"],
    ],
    ["of a full stream does not wait for the time", [{ type: "full" }], "live", ["renew"]],
    ["of a full stream is not begun twice", [{ type: "full" }, { type: "full" }], "live", []],
    [
      "of a full stream that failed waits",
      [{ type: "full" }, { type: "renewal-failed" }, { type: "full" }],
      "live",
      [],
    ],
  ])("%s", (_, inputs, phase, effects) => {
    const outcome = after([start, opened, STABLE_MS, ...inputs]);
    expect([outcome.machine.phase, names(outcome.effects)]).toEqual([phase, effects]);
  });

  test("that fails stays live and is tried again, later each time", () => {
    const fails: Input[] = [renewalDue, { type: "renewal-failed" }];
    const { machine, effects } = after([start, opened, ...fails, ...fails, ...fails]);
    expect(publicState(machine)).toBe("live");
    expect(effects).toEqual([{ do: "retry-renewal", attempt: 2, retryAfterMs: 0 }]);
  });

  test("is forgotten when the connection is lost meanwhile", () => {
    expect(after([start, opened, renewalDue, ended]).machine.renewing).toBe(false);
  });
});

describe("what is shown", () => {
  test.each<[string, Input[], string]>([
    ["before the first connection", [start], "connecting"],
    ["once open", [start, opened], "live"],
    ["after a first attempt that failed", [start, failed], "reconnecting"],
    ["while the transport resumes", [start, opened, broken], "reconnecting"],
    ["without a network", [start, opened, { type: "offline" }, ended], "offline"],
    ["while what is open still works, in spite of it", [start, opened, { type: "offline" }], "live"],
    ["when it is back", [start, opened, { type: "offline" }, ended, { type: "online" }], "reconnecting"],
    ["when the session is over", [start, opened, { type: "refused" }], "signed-out"],
  ])("%s", (_, inputs, state) => {
    expect(publicState(after(inputs).machine)).toBe(state);
  });
});
