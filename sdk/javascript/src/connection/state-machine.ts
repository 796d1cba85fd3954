/**
 * Decides when to connect, wait, renew and give up. No I/O: the client carries out the effects.
 *
 *     idle ─start─▶ connecting ─opened─▶ connected
 *                      ▲  └─failed─▶ waiting ◀─ended, heartbeat-timeout─┘
 *                      └──retry-due, online, check-now──┘         any ─signed-out─▶ signed-out
 */

/** A connection that lasted this long was stable: the next failure starts a new count of attempts. */
export const STABLE_MS = 10_000;

type Phase = "idle" | "connecting" | "connected" | "waiting" | "signed-out";

/** What an application shows of the connection. `idle`: new, or stopped. `signed-out` is final. */
export type ConnectionState = "idle" | "connecting" | "connected" | "reconnecting" | "offline" | "signed-out";

export interface MachineState {
  phase: Phase;
  /** Attempts since the last stable connection. */
  attempt: number;
  /** Epoch milliseconds of the last `opened`. */
  connectedSince: number;
  /** False while the browser reports no network. */
  online: boolean;
  /** Another stream is being opened beside the current one. */
  renewing: boolean;
  /** Consecutive renewals that failed. */
  failedRenewals: number;
}

export type ConnectionEvent =
  | { type: "start" | "stop" | "signed-out" }
  | { type: "opened" | "ended" | "heartbeat-timeout" | "gap" }
  | { type: "failed"; retryAfterMs?: number; hasToken: boolean }
  /** `oversized`: the current stream is to be replaced. */
  | { type: "renewal-due" | "oversized" }
  /** `newStream`: on another stream; else the current token is still the right one. */
  | { type: "renewed"; newStream: boolean }
  | { type: "renewal-failed"; retryAfterMs?: number }
  | { type: "retry-due" | "online" | "offline" | "check-now" };

export type Effect =
  | { type: "connect" | "close" | "schedule-renewal" }
  /** `newStream`: also where the current token is still the right one. */
  | { type: "renew"; newStream: boolean }
  /** `recheck`: no stream was open for a while, so something may have been published that is stored only later. */
  | { type: "catch-up"; recheck: boolean }
  | { type: "retry" | "retry-renewal"; attempt: number; retryAfterMs: number };

export type Transition = [MachineState, Effect[]];

export const INITIAL_STATE: MachineState = {
  phase: "idle",
  attempt: 0,
  connectedSince: 0,
  online: true,
  renewing: false,
  failedRenewals: 0,
};

export function connectionState(state: MachineState): ConnectionState {
  const { phase } = state;
  if (phase === "idle" || phase === "connected" || phase === "signed-out") return phase;
  if (!state.online) return "offline";
  return state.attempt > 0 || state.connectedSince > 0 ? "reconnecting" : "connecting";
}

export function transition(state: MachineState, event: ConnectionEvent, now: number): Transition {
  if (state.phase === "signed-out") return unchanged(state);
  if (state.phase === "idle" && event.type !== "start") return whileIdle(state, event);
  return rules[event.type](state, event as never, now);
}

function whileIdle(state: MachineState, { type }: ConnectionEvent): Transition {
  if (type === "online" || type === "offline") return [{ ...state, online: type === "online" }, []];
  return type === "signed-out" ? signOut(state) : unchanged(state);
}

type EventOf<T> = Extract<ConnectionEvent, { type: T }>;
type Rules = { [T in ConnectionEvent["type"]]: (state: MachineState, event: EventOf<T>, now: number) => Transition };

const unchanged = (state: MachineState): Transition => [state, []];

const rules: Rules = {
  start: (s) => (s.phase === "idle" ? connect({ ...s, attempt: 0, connectedSince: 0 }) : unchanged(s)),
  stop: (s) => [{ ...INITIAL_STATE, online: s.online }, [{ type: "close" }]],
  "signed-out": (s) => signOut(s),
  opened: (s, _, now) => [
    { ...s, phase: "connected", connectedSince: now, renewing: false, failedRenewals: 0 },
    [{ type: "schedule-renewal" }, { type: "catch-up", recheck: true }],
  ],
  failed: (s, { retryAfterMs, hasToken }) => {
    const [next, effects] = wait(s, s.attempt, retryAfterMs);
    // Where streams are blocked but the service answers, catching up at every attempt still brings notifications.
    return [next, hasToken ? [...effects, { type: "catch-up", recheck: true }] : effects];
  },
  gap: (s) => (s.phase === "connected" ? [s, [{ type: "catch-up", recheck: true }]] : unchanged(s)),
  ended: (s, _, now) => reconnect(s, now),
  "heartbeat-timeout": (s, _, now) => reconnect(s, now),
  "renewal-due": (s) => (s.phase === "connected" ? renew(s, false) : unchanged(s)),
  // A renewal that failed is retried after its backoff, not at each item that arrives meanwhile.
  oversized: (s) => (s.phase === "connected" && s.failedRenewals === 0 ? renew(s, true) : unchanged(s)),
  // The replaced stream may have died unnoticed: catch up on the new one.
  renewed: (s, { newStream }) => [
    { ...s, renewing: false, failedRenewals: 0 },
    newStream ? [{ type: "schedule-renewal" }, { type: "catch-up", recheck: false }] : [{ type: "schedule-renewal" }],
  ],
  "renewal-failed": (s, { retryAfterMs = 0 }) => [
    { ...s, renewing: false, failedRenewals: s.failedRenewals + 1 },
    [{ type: "retry-renewal", attempt: s.failedRenewals, retryAfterMs }],
  ],
  "retry-due": (s) => (s.phase === "waiting" ? connect(s) : unchanged(s)),
  "check-now": (s) => (s.phase === "waiting" ? connect(s) : unchanged(s)),
  online: (s) => (s.phase === "waiting" ? connect({ ...s, online: true, attempt: 0 }) : [{ ...s, online: true }, []]),
  // A connection that still works is kept: a laptop without a network reaches its own services.
  offline: (s) => [{ ...s, online: false }, []],
};

function isStable(s: MachineState, now: number): boolean {
  return s.phase === "connected" && now - s.connectedSince >= STABLE_MS;
}

function signOut(s: MachineState): Transition {
  return [{ ...s, phase: "signed-out", renewing: false }, [{ type: "close" }]];
}

function connect(s: MachineState): Transition {
  return [{ ...s, phase: "connecting", renewing: false }, [{ type: "close" }, { type: "connect" }]];
}

function renew(s: MachineState, newStream: boolean): Transition {
  return s.renewing ? unchanged(s) : [{ ...s, renewing: true }, [{ type: "renew", newStream }]];
}

function wait(s: MachineState, attempt: number, retryAfterMs = 0): Transition {
  return [
    { ...s, phase: "waiting", attempt: attempt + 1, renewing: false },
    [{ type: "close" }, { type: "retry", attempt, retryAfterMs }],
  ];
}

/** Closes the stream that was lost and waits before the next one. */
function reconnect(s: MachineState, now: number): Transition {
  if (s.phase !== "connected") return unchanged(s);
  return wait(s, isStable(s, now) ? 0 : s.attempt);
}
