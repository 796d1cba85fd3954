import { ServiceError, type ClientState, type Problem } from "../client";

/** The state of the connection in a word or two. */
export const STATE_WORDS: Record<ClientState, string> = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  offline: "Offline",
  "signed-out": "Signed out",
};

/** Why tasks are waiting to be sent. */
export interface Delay {
  error: unknown;
  /** Some of them would not outlive the page. */
  fleeting: boolean;
}

const LEAVE_OPEN = "This browser's storage is full or blocked: leave this page open until your tasks are sent.";

const UNSENT = "Some of your tasks were not sent. They are kept, and can be tried again.";

/**
 * Why news does not come, or tasks do not go, and what to do about it; null while all is well. Nothing in it changes
 * from one attempt to the next, since each change is read out.
 *
 * @param someUnsent Whether tasks are no longer tried.
 */
export function advice(
  state: ClientState,
  problem: Problem | null,
  delay: Delay | null,
  someUnsent = false,
): string | null {
  const taskAdvice = delay === null ? (someUnsent ? UNSENT : null) : delayAdvice(delay.error);
  const words = connectionAdvice(state, problem) ?? taskAdvice;
  return words !== null && delay?.fleeting ? `${words} ${LEAVE_OPEN}` : words;
}

/** Why a task is no longer tried: the service's own words where it refused. */
export function unsentReason(error: unknown): string {
  if (!(error instanceof ServiceError)) return problemWords(undefined, undefined);
  return error.status >= 400 && error.status < 500 ? error.message : problemWords(error.status, error.requestId);
}

/** Whether both are about the same, whichever request it was. */
export function sameTrouble(one: unknown, other: unknown): boolean {
  return one !== null && other !== null && statusOf(one) === statusOf(other);
}

function statusOf(trouble: unknown): unknown {
  return typeof trouble === "object" && trouble !== null && "status" in trouble ? trouble.status : undefined;
}

function connectionAdvice(state: ClientState, problem: Problem | null): string | null {
  if (state === "offline") return "You are offline. Tasks that you send are kept, and go out when the network is back.";
  if (state !== "reconnecting") return null;
  const reason = problem === null ? "The connection was lost." : problemWords(problem.status, problem.requestId);
  return `${reason} Trying again by itself; no news is lost.`;
}

function delayAdvice(error: unknown): string {
  const then = "Trying again by itself; your tasks are kept.";
  if (!(error instanceof ServiceError)) return `The service cannot be reached. ${then}`;
  if (error.status === 429) return `You have sent as many tasks as one user may for now. ${then}`;
  return `${problemWords(error.status, error.requestId)} ${then}`;
}

export const SESSION_EXPIRED = "Your session has expired. Sign in again to go on; what you sent is kept.";

function problemWords(status: number | undefined, requestId: string | undefined): string {
  if (status === undefined) return "The service cannot be reached.";
  const request = requestId === undefined ? "" : ` (request ${requestId})`;
  if (status === 429 || status === 503) return "The service is busy or away for a moment.";
  return `The service answered with an error${request}.`;
}
