/** How a gRPC call ended. Codes: https://grpc.io/docs/guides/status-codes/ */
import { StreamError } from "../api/errors";

const NAMES = [
  ...["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"],
  ...["PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"],
  ...["INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"],
];
const OK = "0";
const UNKNOWN = "2";
const MAX_MESSAGE_CHARACTERS = 200;

/** Headers of an answer, or trailers. Names are in lower case. */
type Metadata = { get(name: string): string | null | undefined };

/** Parses the content of a trailers frame: lines as in HTTP. A line without a colon is ignored. */
export function parseTrailers(content: Uint8Array): Map<string, string> {
  const lines = new TextDecoder().decode(content).split("\r\n");
  const found = lines.map((line) => /^([^:]+):(.*)$/.exec(line)).filter((line) => line !== null);
  return new Map(found.map(([, name = "", value = ""]) => [name.trim().toLowerCase(), value.trim()]));
}

/** The error that the headers of an answer without a body carry, or null. */
export function refusalInHeaders({ ok, status, headers }: Response): StreamError | null {
  const code = headers.get("grpc-status");
  if (code !== null && code !== OK) return toStreamError(headers);
  return ok ? null : new StreamError(`Momento: HTTP status ${status}`, status === 401 || status === 403);
}

/** The error with which a stream ended; status OK is one too, as a topic has no end. */
export function toStreamError(metadata: Metadata): StreamError {
  const code = metadata.get("grpc-status") ?? UNKNOWN;
  if (code === OK) return new StreamError("Momento ended the stream");
  const name = NAMES[Number(code)] ?? `status ${code}`;
  // The quota that is exhausted, where the status says that one is.
  const quota = metadata.get("err");
  const details = [name, quota, decodeMessage(metadata.get("grpc-message") ?? "")].filter(Boolean).join(": ");
  return new StreamError(
    `Momento: ${details}`.slice(0, MAX_MESSAGE_CHARACTERS),
    name === "UNAUTHENTICATED" || name === "PERMISSION_DENIED",
  );
}

function decodeMessage(message: string): string {
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}
