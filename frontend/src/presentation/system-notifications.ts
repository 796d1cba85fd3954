import type { Notification, StoredValue } from "notification-api-client";
import { ref, type Ref } from "vue";
import { isVisible } from "../platform/page-events";

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

  show({ taskId, status, message }: Notification): void {
    // Reading the permission blocks the page until another process has answered, so it is read last.
    if (isVisible() || !this.#isEnabled() || this.#read() !== "on") return;
    const title = status === "failed" ? "Task failed" : "Task finished";
    const shown = new globalThis.Notification(title, { body: message, tag: `${taskId}:${status}` });
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
