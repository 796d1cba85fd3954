import type { ClientError } from "../api/errors";
import type { ConnectionState } from "../connection/state-machine";
import { NotificationApi } from "../notification-api";
import type { NotificationApiOptions } from "../options";
import type { ReceivedNotification } from "../session/events";
import { FakeClock, settle } from "./fake-clock";
import { FakeService } from "./fake-service";
import { FakeTopic } from "./fake-topic";
import { FakeWebStorage } from "./fake-web-storage";

/** What one tab has emitted. */
export interface Tab {
  api: NotificationApi;
  states: ConnectionState[];
  notifications: ReceivedNotification[];
  errors: ClientError[];
}

/** Tabs of one browser between a fake service and a fake topic. */
export class ApiHarness {
  readonly clock = new FakeClock();
  readonly service = new FakeService(this.clock);
  readonly topic = new FakeTopic();
  readonly storage = new FakeWebStorage();
  /** What `getIdToken` was called with. */
  readonly tokenRequests: boolean[] = [];

  tab(options: Partial<NotificationApiOptions> = {}): Tab {
    const api = new NotificationApi({
      url: this.service.url,
      getIdToken: async ({ refresh }) => {
        this.tokenRequests.push(refresh);
        return this.service.idToken;
      },
      userId: "alice",
      storage: this.storage,
      openStream: this.topic.open,
      fetch: this.service.fetch,
      clock: this.clock,
      random: () => 0.5,
      ...options,
    });
    const tab: Tab = { api, states: [], notifications: [], errors: [] };
    api.on("state", (state) => tab.states.push(state));
    api.on("notification", (notification) => tab.notifications.push(notification));
    api.on("error", (error) => tab.errors.push(error));
    return tab;
  }

  async started(options: Partial<NotificationApiOptions> = {}): Promise<Tab> {
    const tab = this.tab(options);
    tab.api.start();
    await settle();
    return tab;
  }
}
