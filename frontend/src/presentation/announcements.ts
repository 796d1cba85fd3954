import type { FinalStatus } from "notification-api-client";
import { nextTick, shallowRef, type ShallowRef } from "vue";

/** The end of a task, in words. */
export interface Announcement {
  /** The task's key. */
  key: string;
  status: FinalStatus;
  headline: string;
  detail: string | null;
}

export interface ShownAnnouncement extends Announcement {
  id: number;
  /** Shown as a toast; otherwise its row is on screen, and it is only read out. */
  isToast: boolean;
}

/** Above this many within the window, further ones are only counted: a user cannot read fifty toasts a second. */
const MAX_IN_WINDOW = 4;
const WINDOW_MS = 3_000;
const DURATION_MS = 8_000;
/** Announcements that arrive together are shown together. */
const COLLECT_MS = 50;

/** Which ends of tasks are announced now: each once, as a toast where its row is not on screen. */
export class Announcements {
  readonly shown: ShallowRef<readonly ShownAnnouncement[]> = shallowRef([]);
  /** How many more there were than toasts. */
  readonly more = shallowRef(0);
  #isHeld = false;
  #nextId = 0;
  #waiting: Announcement[] = [];
  /** When the announcements of the window were shown. */
  #recent: number[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #moreTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  readonly #isOnScreen: (key: string) => boolean;

  constructor(isOnScreen: (key: string) => boolean) {
    this.#isOnScreen = isOnScreen;
  }

  add(announcement: Announcement): void {
    this.#waiting.push(announcement);
    this.#timer ??= setTimeout(() => void this.#flush(), COLLECT_MS);
  }

  /** Nothing disappears while the user points at it. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
  }

  dismiss(id: number): void {
    this.shown.value = this.shown.value.filter((each) => each.id !== id);
    this.#releaseIfEmpty();
  }

  dismissMore(): void {
    clearTimeout(this.#moreTimer);
    this.more.value = 0;
    this.#releaseIfEmpty();
  }

  clear(): void {
    for (const timer of [this.#timer, ...this.#timers]) clearTimeout(timer);
    this.#timer = undefined;
    this.#waiting = [];
    this.shown.value = [];
    this.dismissMore();
  }

  /** The rows show the ends by then. */
  async #flush(): Promise<void> {
    await nextTick();
    this.#timer = undefined;
    for (const announcement of this.#waiting.splice(0)) this.#show(announcement, Date.now());
  }

  /** What held them is removed with the last one, without an event that it has lost the pointer or the focus. */
  #releaseIfEmpty(): void {
    if (this.more.value === 0 && !this.shown.value.some(({ isToast }) => isToast)) this.#isHeld = false;
  }

  #show(announcement: Announcement, now: number): void {
    this.#recent = this.#recent.filter((at) => now - at < WINDOW_MS);
    const isFull = this.#isHeld && this.shown.value.length >= MAX_IN_WINDOW;
    if (isFull || this.#recent.length >= MAX_IN_WINDOW) return this.#countMore(announcement);
    this.#recent.push(now);
    const shown = { ...announcement, id: this.#nextId++, isToast: !this.#isOnScreen(announcement.key) };
    this.shown.value = [...this.shown.value, shown].slice(-MAX_IN_WINDOW);
    this.#dismissLater(shown.id);
  }

  #dismissLater(id: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (this.#isHeld) this.#dismissLater(id);
      else this.dismiss(id);
    }, DURATION_MS);
    this.#timers.add(timer);
  }

  /** Those whose row is on screen need no hint. */
  #countMore({ key }: Announcement): void {
    if (this.#isOnScreen(key)) return;
    this.more.value += 1;
    this.#dismissMoreLater();
  }

  #dismissMoreLater(): void {
    clearTimeout(this.#moreTimer);
    const dismiss = (): void => (this.#isHeld ? this.#dismissMoreLater() : this.dismissMore());
    this.#moreTimer = setTimeout(dismiss, DURATION_MS);
  }
}
