import {
  isFinal,
  newestFirst,
  ServiceError,
  type StoredValue,
  type TabCoordinator,
  type Task,
  type TaskStore,
  type TokenService,
} from "notification-api-client";
import { computed, ref, watch, type ComputedRef, type Ref } from "vue";
import { watchTop } from "../platform/page-events";

/** How long the top of the list has to be on screen until its notifications count as read. */
const READ_AFTER_MS = 1_000;
/** Several ends in a row are marked with one request. */
const MARK_AFTER_MS = 1_000;
const RETRY_MS = 15_000;

/**
 * Until when the user has read the notifications: on all tabs at once, and on the user's other devices through the
 * service. The marker only moves forward. The leading tab alone sends it.
 */
export class ReadState {
  /** Epoch milliseconds by the service's clock, which also gives the notifications their times. */
  readonly readUntil: Ref<number>;
  /** The tasks whose end the user has not seen, the newest first. */
  readonly unread: ComputedRef<Task[]>;
  #isWholeList = true;
  #isLooking = false;
  /** The marker that the service has. */
  #sent = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #store: TaskStore;
  readonly #service: TokenService;
  readonly #storage: StoredValue;
  readonly #tabs: TabCoordinator;

  constructor(store: TaskStore, service: TokenService, storage: StoredValue, tabs: TabCoordinator) {
    this.#store = store;
    this.#service = service;
    this.#storage = storage;
    this.#tabs = tabs;
    this.readUntil = ref(Number(storage.load()) || 0);
    this.unread = computed(() => {
      const until = this.readUntil.value;
      return newestFirst(store).filter((task) => isFinal(task) && task.changedAt > until);
    });
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
      onCount(this.unread.value.length);
    };
    const stop = watch(() => this.unread.value.length, onChanged, { immediate: true });
    signal.addEventListener("abort", stop, { once: true });
  }

  /** Whether the list shows all tasks, without a filter. */
  setWholeList(isWholeList: boolean): void {
    this.#isWholeList = isWholeList;
    this.#markIfSeen();
  }

  /** The user has seen all of them. */
  markAll(): void {
    const ends = [...this.#store.values()].filter(isFinal).map(({ changedAt }) => changedAt);
    const until = ends.reduce((latest, end) => Math.max(latest, end), 0);
    if (until <= this.readUntil.value) return;
    this.moveTo(until);
    this.#tabs.send({ type: "read", until });
  }

  /** A tab of this user has marked the notifications as read. */
  moveTo(until: number): void {
    if (until > this.readUntil.value) {
      this.readUntil.value = until;
      if (this.#tabs.isLeader) this.#storage.save(String(until));
    }
    this.sendSoon();
  }

  /** The service's marker: of another device, or what this one has sent. */
  receive(readUntil: number): void {
    this.#sent = Math.max(this.#sent, readUntil);
    if (readUntil > this.readUntil.value) this.#tabs.send({ type: "read", until: readUntil });
    this.moveTo(readUntil);
  }

  /** Sends the marker where the service's is behind. */
  sendSoon(delayMs = MARK_AFTER_MS): void {
    if (!this.#tabs.isLeader || this.readUntil.value <= this.#sent) return;
    this.#timer ??= setTimeout(() => void this.#send(), delayMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sent = Infinity;
  }

  #markIfSeen(): void {
    if (this.#isLooking && this.#isWholeList) this.markAll();
  }

  async #send(): Promise<void> {
    const until = this.readUntil.value;
    let delayMs = MARK_AFTER_MS;
    try {
      await this.#service.markRead(until);
      this.#sent = Math.max(this.#sent, until); // also where the service's clock is behind: it never goes beyond now
    } catch (error) {
      if (isUnsupported(error)) this.#sent = Infinity;
      delayMs = RETRY_MS;
    }
    this.#timer = undefined;
    this.sendSoon(delayMs);
  }
}

/** A service of an earlier version, or one without a history. */
function isUnsupported(error: unknown): boolean {
  return error instanceof ServiceError && error.status >= 400 && error.status < 500 && error.status !== 429;
}
