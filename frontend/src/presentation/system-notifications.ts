import { ref, type Ref } from "vue";
import { isVisible } from "../platform/page-events";
import type { StoredValue } from "../platform/user-storage";
import type { Announcement } from "./announcements";

export type Permission = "unavailable" | "off" | "on" | "denied";

/** Notifications of the operating system: only where the user has turned them on, and while the page is hidden. */
export class SystemNotifications {
  readonly permission: Ref<Permission>;
  readonly #shown = new Set<globalThis.Notification>();
  readonly #enabled: StoredValue;

  constructor(enabled: StoredValue) {
    this.#enabled = enabled;
    this.permission = ref(this.#read());
  }

  /** Must be called from a click: browsers require it. */
  async turnOn(): Promise<void> {
    if ((await globalThis.Notification.requestPermission()) === "granted") this.#enabled.save("on");
    this.permission.value = this.#read();
  }

  turnOff(): void {
    this.#enabled.clear();
    this.permission.value = this.#read();
  }

  show({ key, status, headline, detail }: Announcement): void {
    // Reading the permission blocks the page until another process has answered, so it is read last.
    if (isVisible() || !this.#isEnabled() || this.#read() !== "on") return;
    const body = detail === null ? headline : `${headline}\n${detail}`;
    const shown = new globalThis.Notification(`Task ${status}`, { body, tag: `${key}:${status}` });
    this.#shown.add(shown);
    shown.onclose = () => this.#shown.delete(shown);
    shown.onclick = () => {
      window.focus();
      shown.close();
    };
  }

  /** Closes this page's notifications. */
  clear(): void {
    for (const shown of this.#shown) shown.close();
  }

  #read(): Permission {
    if (!("Notification" in globalThis)) return "unavailable";
    const { permission } = globalThis.Notification;
    if (permission === "denied") return "denied";
    return permission === "granted" && this.#isEnabled() ? "on" : "off";
  }

  #isEnabled(): boolean {
    return this.#enabled.load() === "on";
  }
}
