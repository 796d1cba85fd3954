import type { Notifications } from "notification-api-client";
import { watchTop } from "../platform/page-events";

/** How long the top of the list has to be on screen until its notifications count as read. */
const READ_AFTER_MS = 1_000;

/** Marks notifications as read while the user looks at the top of the list. */
export class Reading {
  #isWholeList = true;
  #isLooking = false;
  readonly #notifications: Notifications;

  constructor(notifications: Notifications) {
    this.#notifications = notifications;
  }

  /** While the top of the list is on screen, what arrives is read. Counts what is unread. */
  watchPage(signal: AbortSignal, onCount: (count: number) => void): void {
    const look = (isLooking: boolean): void => {
      this.#isLooking = isLooking;
      this.#markIfSeen();
    };
    watchTop(
      signal,
      READ_AFTER_MS,
      () => look(true),
      () => look(false),
    );
    const onChanged = (): void => {
      this.#markIfSeen();
      onCount(this.#notifications.getSnapshot().unread);
    };
    onChanged();
    signal.addEventListener("abort", this.#notifications.subscribe(onChanged), { once: true });
  }

  /** Whether the list shows all tasks, without a filter. */
  setWholeList(isWholeList: boolean): void {
    this.#isWholeList = isWholeList;
    this.#markIfSeen();
  }

  #markIfSeen(): void {
    if (this.#isLooking && this.#isWholeList) this.#notifications.markRead();
  }
}
