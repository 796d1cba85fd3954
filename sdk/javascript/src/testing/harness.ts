import type { ClientError } from "../api/errors";
import { Connection } from "../connection/connection";
import type { ConnectionOptions } from "../connection/options";
import type { ConnectionState } from "../connection/state-machine";
import type { StoredValue } from "../internal/key-value-store";
import type { ReceivedNotification } from "../notifications/notification";
import { FakeClock, settle } from "./fake-clock";
import { FakeService } from "./fake-service";
import { FakeTopic } from "./fake-topic";

export class FakeStoredValue implements StoredValue {
  value: string | null = null;
  load = (): string | null => this.value;
  save = (value: string): void => void (this.value = value);
  clear = (): void => void (this.value = null);
}

/** A client between a fake service and a fake topic, with all events that it emitted. */
export class Harness {
  readonly clock = new FakeClock();
  readonly service = new FakeService(this.clock);
  readonly topic = new FakeTopic();
  readonly storage = new FakeStoredValue();
  readonly states: ConnectionState[] = [];
  readonly notifications: ReceivedNotification[] = [];
  readonly errors: ClientError[] = [];
  refreshes = 0;
  /** The refreshed id token; null: the session has expired. */
  refreshed: string | null = null;

  client(options: Partial<ConnectionOptions> = {}): Connection {
    const client = new Connection({
      tokenUrl: this.service.tokenUrl,
      getIdToken: async ({ refresh }) => (refresh ? this.#refresh() : this.service.idToken),
      storage: this.storage,
      openStream: this.topic.open,
      clock: this.clock,
      fetch: this.service.fetch,
      random: () => 0.5,
      ...options,
    });
    client.on("state", (state) => this.states.push(state));
    client.on("notification", (notification) => this.notifications.push(notification));
    client.on("error", (error) => this.errors.push(error));
    return client;
  }

  async live(options: Partial<ConnectionOptions> = {}): Promise<Connection> {
    const client = this.client(options);
    client.start();
    await settle();
    return client;
  }

  /** The task ids of the notifications that were emitted. */
  get received(): string[] {
    return this.notifications.map(({ taskId }) => taskId);
  }

  #refresh(): string | null {
    this.refreshes += 1;
    return this.refreshed;
  }
}
