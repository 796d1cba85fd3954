import { StreamError } from "../api/errors";
import { openFetchStream, UnreachableError } from "./fetch-stream";
import type { OpenStream, Stream } from "./stream";

/** So many streams in a row must be blocked. */
const MAX_BLOCKED = 3;

/**
 * Opens streams by `primary`, and by `fallback` for the rest of the page's life where `primary` has never worked and
 * cannot reach Momento although the token service answers: Momento's CORS rules may allow no other headers than those of
 * its SDK. The change is reported once.
 */
export function withFallback(primary: OpenStream, fallback: OpenStream): OpenStream {
  let blocked = 0;
  let hasWorked = false;

  function onFailed(error: unknown): never {
    if (hasWorked || !(error instanceof UnreachableError)) {
      blocked = 0;
      throw error;
    }
    blocked += 1;
    // Asks for another token, so that without a network the next attempt fails before it comes here.
    if (blocked < MAX_BLOCKED) throw new StreamError(error.message, true);
    const change = new StreamError("Streams over fetch do not reach Momento: the Momento SDK is used from now on");
    console.error(change.message, error);
    throw change;
  }

  return (token, listener, position) => {
    if (blocked >= MAX_BLOCKED) return fallback(token, listener, position);
    const stream = primary(token, listener, position);
    return {
      opened: stream.opened.then(() => void (hasWorked = true), onFailed),
      get position() {
        return stream.position;
      },
      isAlive: () => stream.isAlive(),
      close: () => stream.close(),
    };
  };
}

/** Over the Momento SDK, which is loaded when first needed: it is larger than the rest of an application. */
export const openMomentoStream: OpenStream = (token, listener) => {
  let stream: Stream | undefined;
  let isClosed = false;
  async function open(): Promise<void> {
    const { MomentoStream } = await import("./momento-sdk");
    if (isClosed) throw new StreamError("Closed before it was opened");
    stream = new MomentoStream(token, listener);
    await stream.opened;
  }
  return {
    opened: open(),
    isAlive: () => stream?.isAlive() ?? false,
    close: () => {
      isClosed = true;
      stream?.close();
    },
  };
};

/** The default: over `fetch`, or over the Momento SDK where that does not reach Momento. */
export const openStream: OpenStream = withFallback(openFetchStream, openMomentoStream);
