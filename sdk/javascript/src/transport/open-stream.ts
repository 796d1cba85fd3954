import { StreamError } from "../api/errors";
import type { DisposableToken } from "../api/token-service";
import { openFetchStream, subscribeUrl, UnreachableError } from "./fetch-stream";
import { openMomentoStream } from "./momento-sdk";
import type { OpenStream } from "./stream";

/** So many streams in a row must be blocked. */
const MAX_BLOCKED = 3;
const REACHABLE_WITHIN_MS = 5_000;

/**
 * Opens streams by `primary`, and by `fallback` for the rest of the page's life once the browser blocks `primary`: no
 * answer of Momento could ever be read, although Momento answers. That is how a server's CORS rules show that do not
 * allow our headers, and no outage or missing network shows so. The change is reported once.
 */
export function withFallback(
  primary: OpenStream,
  fallback: OpenStream,
  isReachable: (token: DisposableToken) => Promise<boolean>,
): OpenStream {
  let blocked = 0;
  let hasWorked = false;

  async function onFailed(error: unknown, token: DisposableToken): Promise<never> {
    const isBlocked = !hasWorked && error instanceof UnreachableError && (await isReachable(token));
    blocked = isBlocked ? blocked + 1 : 0;
    if (blocked !== MAX_BLOCKED) throw error;
    const change = new StreamError("The browser blocks streams over fetch: the Momento SDK is used from now on");
    console.error(change.message, error);
    throw change;
  }

  return (token, listener, position) => {
    if (blocked >= MAX_BLOCKED) return fallback(token, listener, position);
    const stream = primary(token, listener, position);
    return {
      opened: stream.opened.then(
        () => void (hasWorked = true),
        (error: unknown) => onFailed(error, token),
      ),
      get position() {
        return stream.position;
      },
      isAlive: () => stream.isAlive(),
      close: () => stream.close(),
    };
  };
}

/** Whether Momento answers at all. A request without CORS succeeds whatever the server allows; its answer is opaque. */
async function answers(token: DisposableToken): Promise<boolean> {
  const request = { mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(REACHABLE_WITHIN_MS) } as const;
  return fetch(subscribeUrl(token), request).then(
    () => true,
    () => false,
  );
}

/** The default: over `fetch`, or over the Momento SDK where the browser blocks that. */
export const openStream: OpenStream = withFallback(openFetchStream, openMomentoStream, answers);
