import { statusOf } from "../api/errors";
import type { StoredValue } from "../internal/key-value-store";
import type { SessionContext } from "./context";

/** Several ends in a row are marked with one request. */
const MARK_AFTER_MS = 1_000;
const RETRY_MS = 15_000;

/**
 * Until when the user has read the notifications, by the service's clock: on all tabs at once, and on the user's other
 * devices through the service. The marker only moves forward. The leading tab alone sends it.
 */
export class ReadMarker {
  /** The marker that the service has; infinite where it has none. */
  #sent = 0;
  #timer: unknown;
  readonly #context: SessionContext;
  readonly #storage: StoredValue;

  constructor(context: SessionContext) {
    this.#context = context;
    this.#storage = context.storage.value("read-until");
  }

  get value(): number {
    return this.#context.state.readUntil.value;
  }

  load(): void {
    this.#context.state.readUntil.set(Math.max(this.value, Number(this.#storage.load()) || 0));
  }

  /** The user has read the notifications until then. */
  mark(until: number): void {
    if (until <= this.value) return;
    this.follow(until);
    this.#context.tabs.send({ type: "read", until });
  }

  /** A tab of this user has marked the notifications as read. */
  follow(until: number): void {
    if (until > this.value) {
      this.#context.state.readUntil.set(until);
      if (this.#context.tabs.isLeader) this.#storage.save(String(until));
    }
    this.sendSoon();
  }

  /** The service's marker: of another device, or what this one has sent. */
  receive(readUntil: number): void {
    this.#sent = Math.max(this.#sent, readUntil);
    if (readUntil > this.value) this.#context.tabs.send({ type: "read", until: readUntil });
    this.follow(readUntil);
  }

  /** Sends the marker where the service's is behind. */
  sendSoon(delayMs: number = MARK_AFTER_MS): void {
    if (!this.#context.tabs.isLeader || this.value <= this.#sent) return;
    this.#timer ??= this.#context.clock.setTimeout(() => void this.#send(), delayMs);
  }

  stop(): void {
    this.#context.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #send(): Promise<void> {
    const until = this.value;
    let delayMs = MARK_AFTER_MS;
    try {
      await this.#context.service.markRead(until);
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
  const status = statusOf(error);
  return status >= 400 && status < 500 && status !== 429;
}
