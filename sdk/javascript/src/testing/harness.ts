import type { ClientError } from "../api/errors";
import type { GetIdToken, Http } from "../api/http";
import { TokenService } from "../api/token-service";
import { Connection } from "../connection/connection";
import { DEFAULT_TIMING, type Settings } from "../connection/options";
import type { ConnectionState } from "../connection/state-machine";
import type { StoredValue } from "../internal/key-value-store";
import type { SourcedNotification } from "../notifications/notification";
import { FakeClock, settle } from "./fake-clock";
import { FakeService } from "./fake-service";
import { FakeTopic } from "./fake-topic";

export class FakeStoredValue implements StoredValue {
  value: string | null = null;
  load = (): string | null => this.value;
  save = (value: string): void => void (this.value = value);
  clear = (): void => void (this.value = null);
}

type HarnessOptions = Partial<Settings & Http>;

/** A connection between a fake service and a fake topic, with all events that it emitted. */
export class Harness {
  readonly clock = new FakeClock();
  readonly service = new FakeService(this.clock);
  readonly topic = new FakeTopic();
  readonly storage = new FakeStoredValue();
  readonly states: ConnectionState[] = [];
  readonly notifications: SourcedNotification[] = [];
  readonly errors: ClientError[] = [];
  refreshes = 0;
  /** The refreshed id token; null: the session has expired. */
  refreshed: string | null = null;

  client(options: HarnessOptions = {}): Connection {
    const { fetch = this.service.fetch, getIdToken = this.getIdToken, ...others } = options;
    const http = { baseUrl: this.service.url, fetch, getIdToken };
    const client = new Connection({
      service: new TokenService(http),
      storage: this.storage,
      isAwaited: () => false,
      openStream: this.topic.open,
      clock: this.clock,
      random: () => 0.5,
      timing: DEFAULT_TIMING,
      ...others,
    });
    client.on("state", (state) => this.states.push(state));
    client.on("notification", (notification) => this.notifications.push(notification));
    client.on("error", (error) => this.errors.push(error));
    return client;
  }

  async live(options: HarnessOptions = {}): Promise<Connection> {
    const client = this.client(options);
    client.start();
    await settle();
    return client;
  }

  /** The task ids of the notifications that were emitted. */
  get received(): string[] {
    return this.notifications.map(({ taskId }) => taskId);
  }

  readonly getIdToken: GetIdToken = async ({ refresh }) => (refresh ? this.#refresh() : this.service.idToken);

  #refresh(): string | null {
    this.refreshes += 1;
    return this.refreshed;
  }
}
