import type { ShallowRef } from "vue";
import type { GetIdToken } from "../client";
import type { Tabs } from "../tabs/tabs";
import type { Letters } from "../tasks/letters";
import { Outbox } from "../tasks/outbox";
import type { Change } from "../tasks/task-book";
import { route, type Config } from "./config";
import { sameTrouble, unsentReason, type Delay } from "./words";

export interface OutboxUser {
  change(change: Change): void;
  /** Later than any that it returned before. */
  nextTime(): number;
  signedOut(): void;
}

/** The outbox of a signed-in user: what it reports becomes changes of the tasks, and `delay`. */
export function makeOutbox(
  { taskUrl }: Config,
  getIdToken: GetIdToken,
  tabs: Tabs,
  letters: Letters,
  delay: ShallowRef<Delay | null>,
  user: OutboxUser,
): Outbox {
  const http = { fetch: (input: RequestInfo | URL, init?: RequestInit) => fetch(input, init), getIdToken };
  const exclusively = (action: () => Promise<void>) => tabs.exclusively("outbox", action);
  return new Outbox(http, route(taskUrl, "task"), letters, exclusively, {
    accepted: ({ key }, taskId) => user.change({ type: "accepted", key, taskId, at: Date.now() }),
    refused: ({ key }, reason) => user.change({ type: "refused", key, reason, at: Date.now() }),
    unsent: ({ key }, error) => user.change({ type: "unsent", key, reason: unsentReason(error), at: user.nextTime() }),
    delayed: (error) => {
      const { fleeting } = letters;
      const { value } = delay;
      if (value?.fleeting !== fleeting || !sameTrouble(value.error, error)) delay.value = { error, fleeting };
    },
    flowing: () => (delay.value = null),
    signedOut: () => user.signedOut(),
  });
}
