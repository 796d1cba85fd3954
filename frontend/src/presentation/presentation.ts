import type { Notification, StoredValue } from "notification-api-client";
import { PageTitle } from "./page-title";
import { SystemNotifications } from "./system-notifications";
import { Toasts } from "./toasts";

/** Announces notifications: as a toast, in the page's title, and as a system notification. */
export class Presentation {
  readonly system: SystemNotifications;
  readonly #title = new PageTitle();
  readonly #toasts = new Toasts();

  /** `enabled` stores whether the user wants system notifications. */
  constructor(enabled: StoredValue) {
    this.system = new SystemNotifications(enabled);
  }

  /** `inThisTab`: of the user's tabs, this one shows the toast. All count it in their titles. */
  announce(notification: Notification, inThisTab: boolean): void {
    this.#title.increment();
    if (!inThisTab) return;
    this.#toasts.show(notification);
    this.system.show(notification);
  }

  /** One of the user's tabs is visible. */
  onVisible(): void {
    this.#title.reset();
  }

  close(): void {
    this.#toasts.clear();
    this.#title.reset();
  }

  /** Closes this page's system notifications: another user may sign in. */
  clear(): void {
    this.system.clear();
  }
}
