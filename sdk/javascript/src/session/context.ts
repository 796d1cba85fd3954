import type { Http } from "../api/http";
import type { TokenService } from "../api/token-service";
import type { UserStorage } from "../browser/user-storage";
import type { Clock } from "../internal/timers";
import type { Tabs } from "../tabs/tabs";
import type { PendingTasks } from "../tasks/pending-tasks";
import type { SessionState } from "./state";

/** What the parts of a session share. */
export interface SessionContext {
  state: SessionState;
  http: Http;
  service: TokenService;
  storage: UserStorage;
  pending: PendingTasks;
  tabs: Tabs;
  clock: Clock;
  random: () => number;
}
