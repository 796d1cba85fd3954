import type { ClientError } from "../api/errors";
import type { ConnectionState } from "../connection/state-machine";
import { ValueStore } from "../internal/store";
import type { Events } from "./events";

export interface ConnectionStatus {
  state: ConnectionState;
  /** Why there is no connection, where that is known. It stays the same while errors of one kind are repeated. */
  error: ClientError | null;
  /** Since when the state is this one, in epoch milliseconds. */
  since: number;
}

/** The connection as this tab knows it. The leading tab shares it with the others. */
export class ConnectionStatusStore extends ValueStore<ConnectionStatus> {
  readonly #events: Events;

  constructor(events: Events) {
    super({ state: "idle", error: null, since: 0 });
    this.#events = events;
  }

  setState(state: ConnectionState, now: number, error: ClientError | null = this.value.error): void {
    if (state === this.value.state) return;
    this.set({ state, error: state === "connected" ? null : error, since: now });
    this.#events.emit("state", state);
  }

  setError(error: ClientError): void {
    if (!isSameKind(this.value.error, error)) this.set({ ...this.value, error });
    this.#events.emit("error", error);
  }
}

function isSameKind(one: ClientError | null, other: ClientError): boolean {
  return one?.code === other.code && one.status === other.status;
}
