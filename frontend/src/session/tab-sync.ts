import type { NotificationClient, Notification, Source, TabCoordinator, TabMessage } from "notification-api-client";
import type { Presentation } from "../presentation/presentation";
import { announcementOf } from "../text/task-description";
import type { ConnectionStatus } from "./connection-status";
import type { ReadState } from "./read-state";
import type { UserTasks } from "./user-tasks";

type Handlers = { [T in TabMessage["type"]]: (message: Extract<TabMessage, { type: T }>) => void };

/** What the tabs of one user keep in step. */
export interface SharedState {
  tabs: TabCoordinator;
  client: NotificationClient;
  connection: ConnectionStatus;
  tasks: UserTasks;
  read: ReadState;
  presentation: Presentation;
  onSignedOut(): void;
}

/** Handles the messages of the user's other tabs, and passes on to them what this tab receives as the leader. */
export class TabSync {
  readonly #shared: SharedState;
  readonly #handlers: Handlers;

  constructor(shared: SharedState) {
    const { client, connection, tasks, read } = shared;
    this.#shared = shared;
    this.#handlers = {
      join: () => this.#sendSnapshot(),
      leave: () => undefined,
      active: () => undefined,
      snapshot: (snapshot) => {
        tasks.merge(snapshot.tasks);
        read.moveTo(snapshot.readUntil);
        connection.error.value = snapshot.error;
        connection.setState(snapshot.state);
      },
      state: ({ state }) => connection.setState(state),
      error: ({ error }) => connection.setError(error),
      notification: ({ notification, source, to }) => {
        client.markSeen(notification);
        this.#show(notification, source, to);
      },
      change: ({ change }) => tasks.apply(change),
      read: ({ until }) => read.moveTo(until),
      resend: ({ key }) => void tasks.resend(key),
      "check-now": () => client.checkNow(),
      "signed-out": () => shared.onSignedOut(),
    };
    this.#forwardClientEvents();
  }

  receive(message: TabMessage): void {
    (this.#handlers[message.type] as (message: TabMessage) => void)(message);
  }

  #forwardClientEvents(): void {
    const { client, connection, read, tabs } = this.#shared;
    client.on("notification", ({ source, ...notification }) => {
      const to = tabs.active;
      tabs.send({ type: "notification", notification, source, to });
      this.#show(notification, source, to);
    });
    client.on("readUntil", (readUntil) => read.receive(readUntil));
    client.on("error", (error) => {
      connection.setError(error);
      tabs.send({ type: "error", error });
    });
    client.on("state", (state) => {
      if (state === "signed-out") return;
      if (tabs.isLeader) connection.setState(state);
      tabs.send({ type: "state", state });
    });
  }

  /** Lists it in every tab, and announces it in the tab `to` alone. */
  #show(notification: Notification, source: Source, to: string): void {
    const { tabs, tasks, presentation } = this.#shared;
    const { status } = notification;
    tasks.notified(notification, (task) => {
      if (source === "history" || status === "progress" || to !== tabs.id) return;
      presentation.announce({ key: task.key, status, ...announcementOf(task) });
    });
  }

  #sendSnapshot(): void {
    const { connection, read, tabs, tasks } = this.#shared;
    if (!tabs.isLeader) return;
    const { state, error } = connection;
    const [tasksOfTab, readUntil] = [[...tasks.store.values()], read.readUntil.value];
    tabs.send({ type: "snapshot", state: state.value, error: error.value, tasks: tasksOfTab, readUntil });
  }
}
