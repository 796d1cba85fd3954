import type { ClientError, ClientState } from "notification-api-client";
import { ref, shallowRef, type Ref } from "vue";
import { isSameError } from "../text/status-text";

/** What the application shows of the connection. The leading tab shares it with the other tabs. */
export class ConnectionStatus {
  readonly state: Ref<ClientState> = ref("connecting");
  readonly error = shallowRef<ClientError | null>(null);

  setState(state: ClientState): void {
    this.state.value = state;
    if (state === "live") this.error.value = null;
  }

  /** Keeps the shown error where the new one is of the same kind, since each change is read out. */
  setError(error: ClientError): void {
    if (!isSameError(this.error.value, error)) this.error.value = error;
  }
}
