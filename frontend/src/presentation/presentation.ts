import { isVisible } from "../platform/page-events";
import type { StoredValue } from "../platform/user-storage";
import { Announcements, type Announcement } from "./announcements";
import { PageTitle } from "./page-title";
import { SystemNotifications } from "./system-notifications";

/** The header covers rows that are scrolled beneath it. */
const HEADER_PX = 56;

/** Announces the ends of tasks on the page and as system notifications, and shows in the title how many are unread. */
export class Presentation {
  readonly system: SystemNotifications;
  readonly announcements = new Announcements(isOnScreen);
  readonly #title = new PageTitle();

  /** `enabled` stores whether the user wants system notifications. */
  constructor(enabled: StoredValue) {
    this.system = new SystemNotifications(enabled);
  }

  announce(announcement: Announcement): void {
    this.announcements.add(announcement);
    this.system.show(announcement);
  }

  showUnread(count: number): void {
    this.#title.show(count);
  }

  close(): void {
    this.announcements.clear();
    this.#title.show(0);
  }

  /** Closes this page's system notifications: another user may sign in. */
  clear(): void {
    this.system.clear();
  }
}

/** Whether the user can see the row of this task now. */
function isOnScreen(key: string): boolean {
  if (!isVisible()) return false;
  const row = document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.getBoundingClientRect();
  return row !== undefined && row.bottom > HEADER_PX && row.top < innerHeight;
}
