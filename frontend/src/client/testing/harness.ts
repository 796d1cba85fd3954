import { NotificationClient } from "../notification-client";
import type { ClientOptions } from "../options";
import type { ClientState, Memory, News, Problem } from "../types";
import { FakeClock, settle } from "./fake-clock";
import { FakeService } from "./fake-service";
import { FakeTopic } from "./fake-topic";

export class FakeMemory implements Memory {
  value: string | null = null;
  load = (): string | null => this.value;
  save = (value: string): void => void (this.value = value);
  clear = (): void => void (this.value = null);
}

/** A client between a fake service and a fake topic, with all that it said. */
export class Harness {
  readonly clock = new FakeClock();
  readonly service = new FakeService(this.clock);
  readonly topic = new FakeTopic();
  readonly memory = new FakeMemory();
  readonly states: ClientState[] = [];
  readonly news: News[] = [];
  readonly problems: Problem[] = [];
  refreshes = 0;
  /** What a refresh yields; null: the session is over. */
  refreshed: string | null = null;

  client(options: Partial<ClientOptions> = {}): NotificationClient {
    const client = new NotificationClient({
      tokenUrl: this.service.tokenUrl,
      getIdToken: async ({ refresh }) => (refresh ? this.#refresh() : this.service.idToken),
      memory: this.memory,
      openStream: this.topic.open,
      clock: this.clock,
      fetch: this.service.fetch,
      random: () => 0.5,
      ...options,
    });
    client.on("state", (state) => this.states.push(state));
    client.on("news", (news) => this.news.push(news));
    client.on("problem", (problem) => this.problems.push(problem));
    return client;
  }

  async live(options: Partial<ClientOptions> = {}): Promise<NotificationClient> {
    const client = this.client(options);
    client.start();
    await settle();
    return client;
  }

  get told(): string[] {
    return this.news.map(({ taskId }) => taskId);
  }

  #refresh(): string | null {
    this.refreshes += 1;
    return this.refreshed;
  }
}
