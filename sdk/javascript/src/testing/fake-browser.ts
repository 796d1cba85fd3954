import { vi } from "vitest";

interface Request {
  steal?: boolean;
  signal?: AbortSignal;
}

interface Held {
  release: () => void;
  reject: (error: Error) => void;
}

/** The Web Locks API of one browser, exclusive locks only. */
class FakeLocks {
  stolen = 0;
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Map<string, (() => void)[]>();

  readonly request = (name: string, options: Request, action: () => Promise<void>): Promise<void> =>
    new Promise((resolve, reject) => {
      const { signal, steal = false } = options;
      signal?.throwIfAborted();
      signal?.addEventListener("abort", () => reject(new DOMException("Aborted", "AbortError")));
      const grant = (): void => {
        const held = { release: () => this.#release(name, held), reject };
        this.#held.set(name, held);
        queueMicrotask(() => {
          if (signal?.aborted) held.release();
          else action().then(resolve, reject).finally(held.release);
        });
      };
      if (steal) this.#steal(name);
      if (!this.#held.has(name)) grant();
      else this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), grant]);
    });

  get heldNames(): string[] {
    return [...this.#held.keys()];
  }

  #steal(name: string): void {
    this.stolen += 1;
    this.#held.get(name)?.reject(new DOMException("Stolen", "AbortError"));
    this.#held.delete(name);
  }

  #release(name: string, held: Held): void {
    if (this.#held.get(name) !== held) return; // it was stolen
    this.#held.delete(name);
    const [grant, ...others] = this.#waiting.get(name) ?? [];
    this.#waiting.set(name, others);
    grant?.();
  }
}

type Message = { data: unknown };

/** BroadcastChannel as tabs see it: messages are cloned, and delivered later. */
class FakeChannel {
  static readonly all = new Set<FakeChannel>();
  onmessage: ((message: Message) => void) | null = null;
  isFrozen = false;
  readonly name: string;

  constructor(name: string) {
    this.name = name;
    FakeChannel.all.add(this);
  }

  postMessage(data: unknown): void {
    const others = [...FakeChannel.all].filter((other) => other !== this && other.name === this.name);
    for (const other of others) {
      const message = { data: structuredClone(data) };
      queueMicrotask(() => !other.isFrozen && FakeChannel.all.has(other) && other.onmessage?.(message));
    }
  }

  close(): void {
    FakeChannel.all.delete(this);
  }
}

/** What the tabs of one browser share. `vi.unstubAllGlobals` removes it. */
export class FakeBrowser {
  readonly locks = new FakeLocks();

  constructor() {
    FakeChannel.all.clear();
    vi.stubGlobal("navigator", { onLine: true, locks: this.locks });
    vi.stubGlobal("BroadcastChannel", FakeChannel);
  }

  /** The tab that joined as this one, from 0, answers no more, as hidden tabs that the browser has frozen. */
  freeze(index: number): void {
    const channel = [...FakeChannel.all][index];
    if (channel === undefined) throw new Error("There is no such tab");
    channel.isFrozen = true;
  }

  thaw(): void {
    for (const channel of FakeChannel.all) channel.isFrozen = false;
  }

  /** How many locks were taken by force. */
  get stolen(): number {
    return this.locks.stolen;
  }

  get channelCount(): number {
    return FakeChannel.all.size;
  }
}

/** A page whose events the test dispatches. `vi.unstubAllGlobals` removes it. */
export class FakePage {
  readonly #events = Object.assign(new EventTarget(), { visibilityState: "visible" });

  constructor() {
    vi.stubGlobal("document", this.#events);
    vi.stubGlobal("addEventListener", this.#events.addEventListener.bind(this.#events));
  }

  dispatch(type: string, fields: object = {}): void {
    this.#events.dispatchEvent(Object.assign(new Event(type), fields));
  }

  setVisible(isVisible: boolean): void {
    this.#events.visibilityState = isVisible ? "visible" : "hidden";
    this.dispatch("visibilitychange");
  }
}
