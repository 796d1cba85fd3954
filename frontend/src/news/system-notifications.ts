import { ref, type Ref } from "vue";
import type { Memory, Notification as News } from "../client";

export type Permission = "unavailable" | "off" | "on" | "denied";

/** Notifications of the operating system: only once asked for, and only while nobody looks at the page. */
export class SystemNotifications {
  readonly permission: Ref<Permission>;
  readonly #shown = new Set<Notification>();

  constructor(private readonly memory: Memory) {
    this.permission = ref(this.#read());
  }

  /** Called from a click, as browsers demand. */
  async turnOn(): Promise<void> {
    if ((await Notification.requestPermission()) === "granted") this.memory.save("on");
    this.permission.value = this.#read();
  }

  turnOff(): void {
    this.memory.clear();
    this.permission.value = this.#read();
  }

  show(news: News): void {
    // The permission comes from another process, and the page stands still meanwhile: it is asked for last.
    if (document.visibilityState === "visible" || !this.#isWanted() || this.#read() !== "on") return;
    const title = news.status === "failed" ? "A task failed" : "A task is finished";
    const shown = new Notification(title, { body: news.message, tag: `${news.taskId}:${news.status}` });
    this.#shown.add(shown);
    shown.onclose = () => this.#shown.delete(shown);
    shown.onclick = () => {
      window.focus();
      shown.close();
    };
  }

  /** Takes back what is still to be seen of this page's. */
  clear(): void {
    for (const shown of this.#shown) shown.close();
  }

  #read(): Permission {
    if (!("Notification" in globalThis)) return "unavailable";
    if (Notification.permission === "denied") return "denied";
    return Notification.permission === "granted" && this.#isWanted() ? "on" : "off";
  }

  #isWanted(): boolean {
    return this.memory.load() === "on";
  }
}
