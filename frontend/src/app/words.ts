import { ServiceError, type ClientState, type Problem } from "../client";

/** The state of the connection in a word or two. */
export const STATE_WORDS: Record<ClientState, string> = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  offline: "Offline",
  "signed-out": "Signed out",
};

/** Why news does not come, and what to do about it; null while all is well. */
export function connectionAdvice(state: ClientState, problem: Problem | null): string | null {
  if (state === "offline") return "You are offline. Tasks that you send are kept, and go out when the network is back.";
  if (state !== "reconnecting") return null;
  const reason = problem === null ? "The connection was lost." : problemWords(problem.status, problem.requestId);
  return `${reason} Trying again by itself; no news is lost.`;
}

/** Why tasks are not sent, and when they will be. */
export function delayAdvice(error: unknown, retryInMs: number): string {
  const when = `Trying again in ${Math.max(1, Math.ceil(retryInMs / 1000))} s; your tasks are kept.`;
  if (!(error instanceof ServiceError)) return `The service cannot be reached. ${when}`;
  if (error.status === 429) return `You have sent as many tasks as one user may for now. ${when}`;
  return `${problemWords(error.status, error.requestId)} ${when}`;
}

export const SESSION_EXPIRED = "Your session has expired. Sign in again to go on; what you sent is kept.";

function problemWords(status: number | undefined, requestId: string | undefined): string {
  if (status === undefined) return "The service cannot be reached.";
  const request = requestId === undefined ? "" : ` (request ${requestId})`;
  if (status === 429 || status === 503) return "The service is busy or away for a moment.";
  return `The service answered with an error${request}.`;
}
