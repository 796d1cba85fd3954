/**
 * When to connect, wait, renew and give up: decided here without I/O, carried out by the client.
 *
 *   stopped ─start─▶ connecting ─opened─▶ live ─interrupted, resumes─▶ resuming ─alive, renewed─▶ live
 *                        ▲  └─failed─▶ waiting ◀─ended, silent, too late─┘
 *                        └──due, online, nudge──┘             any ─refused─▶ signed-out
 */
import type { ClientState } from "./types";

/** A connection that held this long was sound: the next failure starts a new count of attempts. */
export const STABLE_MS = 10_000;
/** The SDK tries again after 500 ms; whatever takes longer is better tried by us, with backoff. */
export const RESUME_GRACE_MS = 1_500;

export type Phase = "stopped" | "connecting" | "live" | "resuming" | "waiting" | "signed-out";

export interface Machine {
  phase: Phase;
  /** Attempts since the last sound connection. */
  attempt: number;
  /** Epoch milliseconds of the last `opened`. */
  liveSince: number;
  /** False while the browser says that there is no network. */
  online: boolean;
  /** Another stream is being opened beside the live one. */
  renewing: boolean;
  /** Renewals that failed since the last one that did not. */
  failedRenewals: number;
}

export type Input =
  | { type: "start" | "stop" | "refused" }
  | { type: "opened" | "alive" | "ended" | "silent" | "gap" | "grace-over" }
  | { type: "failed"; retryAfterMs?: number; tokenGiven: boolean }
  | { type: "interrupted"; resumes: boolean }
  | { type: "renewal-due" | "full" }
  /** `swapped`: to another stream; else the token at hand is still the one to have. */
  | { type: "renewed"; swapped: boolean }
  | { type: "renewal-failed"; retryAfterMs?: number }
  | { type: "retry-due" | "online" | "offline" | "nudge" };

export type Effect =
  | { do: "connect" | "renew" | "close" | "schedule-renewal" }
  /** `recheck`: no stream was open for a while, so something may have been published unseen, and be stored later. */
  | { do: "catch-up"; recheck: boolean }
  | { do: "grace"; ms: number }
  | { do: "retry" | "retry-renewal"; attempt: number; retryAfterMs: number };

export type Step = [Machine, Effect[]];

export const INITIAL: Machine = {
  phase: "stopped",
  attempt: 0,
  liveSince: 0,
  online: true,
  renewing: false,
  failedRenewals: 0,
};

export function publicState(machine: Machine): ClientState {
  if (machine.phase === "signed-out") return "signed-out";
  if (machine.phase === "live") return "live";
  if (!machine.online) return "offline";
  return machine.attempt > 0 || machine.liveSince > 0 ? "reconnecting" : "connecting";
}

export function step(machine: Machine, input: Input, now: number): Step {
  if (machine.phase === "signed-out") return [machine, []];
  if (machine.phase === "stopped" && input.type !== "start") return whileStopped(machine, input);
  return rules[input.type](machine, input as never, now);
}

function whileStopped(machine: Machine, input: Input): Step {
  if (input.type === "online" || input.type === "offline") return [{ ...machine, online: input.type === "online" }, []];
  return input.type === "refused" ? refused(machine) : [machine, []];
}

type Rules = { [T in Input["type"]]: (machine: Machine, input: Extract<Input, { type: T }>, now: number) => Step };

const nothing = (machine: Machine): Step => [machine, []];

const rules: Rules = {
  start: (m) => (m.phase === "stopped" ? connect({ ...m, attempt: 0, liveSince: 0 }) : nothing(m)),
  stop: (m) => [{ ...INITIAL, online: m.online }, [{ do: "close" }]],
  refused: (m) => refused(m),
  opened: (m, _, now) => [
    { ...m, phase: "live", liveSince: now, renewing: false, failedRenewals: 0 },
    [{ do: "schedule-renewal" }, { do: "catch-up", recheck: true }],
  ],
  failed: (m, input) => {
    const [next, effects] = wait(m, m.attempt, input.retryAfterMs);
    // With streams blocked but the service well, asking for news at every attempt still brings them.
    return [next, input.tokenGiven ? [...effects, { do: "catch-up", recheck: true }] : effects];
  },
  alive: (m, _, now) =>
    m.phase === "resuming"
      ? [{ ...m, phase: "live", liveSince: now }, [{ do: "catch-up", recheck: true }]]
      : nothing(m),
  gap: (m) => (m.phase === "live" ? [m, [{ do: "catch-up", recheck: true }]] : nothing(m)),
  interrupted: (m, input, now) => {
    // Resuming is the transport's to try once; a stream that breaks again at once is ours to back off from.
    const sound = m.phase === "live" && now - m.liveSince >= STABLE_MS;
    const resume = input.resumes && m.phase === "live" && (sound || m.attempt === 0);
    if (!resume) return lost(m, now);
    return [{ ...m, phase: "resuming", attempt: sound ? 1 : m.attempt + 1 }, [{ do: "grace", ms: RESUME_GRACE_MS }]];
  },
  ended: (m, _, now) => lost(m, now),
  silent: (m, _, now) => lost(m, now),
  "grace-over": (m, _, now) => (m.phase === "resuming" ? lost(m, now) : nothing(m)),
  "renewal-due": (m) => {
    if (m.phase === "resuming") return [m, [{ do: "retry-renewal", attempt: m.failedRenewals, retryAfterMs: 0 }]];
    return m.phase === "live" ? renew(m) : nothing(m);
  },
  // The one that failed is tried again when its wait is over, not at each item that comes meanwhile.
  full: (m) => (m.phase === "live" && m.failedRenewals === 0 ? renew(m) : nothing(m)),
  renewed: (m, { swapped }, now) => {
    const next = { ...m, renewing: false, failedRenewals: 0 };
    if (!swapped) return [next, [{ do: "schedule-renewal" }]];
    // The stream before it may have died unnoticed, or have been about to resume: the new one is sound, and asks.
    const liveSince = m.phase === "live" ? m.liveSince : now;
    return [
      { ...next, phase: "live", liveSince },
      [{ do: "schedule-renewal" }, { do: "catch-up", recheck: m.phase !== "live" }],
    ];
  },
  "renewal-failed": (m, input) => [
    { ...m, renewing: false, failedRenewals: m.failedRenewals + 1 },
    [{ do: "retry-renewal", attempt: m.failedRenewals, retryAfterMs: input.retryAfterMs ?? 0 }],
  ],
  "retry-due": (m) => (m.phase === "waiting" ? connect(m) : nothing(m)),
  nudge: (m) => (m.phase === "waiting" ? connect(m) : nothing(m)),
  online: (m) => (m.phase === "waiting" ? connect({ ...m, online: true, attempt: 0 }) : [{ ...m, online: true }, []]),
  // What still works is left alone: a laptop without a network reaches its own services all the same.
  offline: (m) => [{ ...m, online: false }, []],
};

function refused(m: Machine): Step {
  return [{ ...m, phase: "signed-out", renewing: false }, [{ do: "close" }]];
}

function connect(m: Machine): Step {
  return [{ ...m, phase: "connecting", renewing: false }, [{ do: "close" }, { do: "connect" }]];
}

function renew(m: Machine): Step {
  return m.renewing ? nothing(m) : [{ ...m, renewing: true }, [{ do: "renew" }]];
}

function wait(m: Machine, attempt: number, retryAfterMs = 0): Step {
  return [
    { ...m, phase: "waiting", attempt: attempt + 1, renewing: false },
    [{ do: "close" }, { do: "retry", attempt, retryAfterMs }],
  ];
}

function lost(m: Machine, now: number): Step {
  if (m.phase !== "live" && m.phase !== "resuming") return nothing(m);
  const sound = m.phase === "live" && now - m.liveSince >= STABLE_MS;
  return wait(m, sound ? 0 : m.attempt);
}
