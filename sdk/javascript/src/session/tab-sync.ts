import type { Connection } from "../connection/connection";
import type { Notification, Source } from "../notifications/notification";
import type { TabMessage } from "../tabs/tabs";
import type { SessionContext } from "./context";
import type { Outbox } from "./outbox";
import type { ReadMarker } from "./read-marker";
import type { UserTasks } from "./user-tasks";

type Handlers = { [T in TabMessage["type"]]: (message: Extract<TabMessage, { type: T }>) => void };

/** What the tabs of one user keep in step. */
export interface SharedParts {
  connection: Connection;
  tasks: UserTasks;
  outbox: Outbox;
  read: ReadMarker;
  onSignedOut(): void;
}

/** Handles the messages of the user's other tabs, and passes on to them what this tab receives as the leader. */
export class TabSync {
  readonly #context: SessionContext;
  readonly #parts: SharedParts;
  readonly #handlers: Handlers;

  constructor(context: SessionContext, parts: SharedParts) {
    this.#context = context;
    this.#parts = parts;
    this.#handlers = this.#createHandlers();
    this.#forwardEvents();
  }

  receive(message: TabMessage): void {
    (this.#handlers[message.type] as (message: TabMessage) => void)(message);
  }

  #createHandlers(): Handlers {
    const { clock, state } = this.#context;
    const { connection, tasks, outbox, read, onSignedOut } = this.#parts;
    const ignore = (): void => undefined;
    return {
      join: () => this.#sendSnapshot(),
      leave: ignore,
      active: ignore,
      ping: ignore,
      pong: ignore,
      snapshot: (snapshot) => {
        tasks.merge(snapshot.tasks);
        read.follow(snapshot.readUntil);
        state.connection.setState(snapshot.state, clock.now(), snapshot.error);
      },
      state: (message) => state.connection.setState(message.state, clock.now()),
      error: ({ error }) => state.connection.setError(error),
      notification: ({ notification, source, to }) => {
        connection.markSeen(notification);
        this.#receive(notification, source, to);
      },
      change: ({ change }) => tasks.apply(change),
      read: ({ until }) => read.follow(until),
      resend: ({ key }) => void outbox.resend(key),
      "check-now": () => connection.checkNow(),
      "signed-out": onSignedOut,
    };
  }

  #forwardEvents(): void {
    const { clock, state, tabs } = this.#context;
    const { connection, read } = this.#parts;
    connection.on("notification", ({ source, ...notification }) => {
      const to = tabs.active;
      tabs.send({ type: "notification", notification, source, to });
      this.#receive(notification, source, to);
    });
    connection.on("readUntil", (readUntil) => read.receive(readUntil));
    connection.on("error", (error) => {
      state.connection.setError(error);
      tabs.send({ type: "error", error });
    });
    connection.on("state", (connectionState) => {
      if (!tabs.isLeader || connectionState === "signed-out") return;
      state.connection.setState(connectionState, clock.now());
      tabs.send({ type: "state", state: connectionState });
    });
  }

  /** Lists it and emits it in every tab, to be announced in the tab `to` alone. */
  #receive(notification: Notification, source: Source, to: string): void {
    const { state, tabs } = this.#context;
    const announce = to === tabs.id && source !== "history" && notification.status !== "progress";
    this.#parts.tasks.notified(notification, () =>
      state.events.emit("notification", { ...notification, source, announce }),
    );
  }

  #sendSnapshot(): void {
    const { state, tabs } = this.#context;
    if (!tabs.isLeader) return;
    const { state: connectionState, error } = state.connection.value;
    const [tasks, readUntil] = [[...state.tasks.map.values()], state.readUntil.value];
    tabs.send({ type: "snapshot", state: connectionState, error, tasks, readUntil });
  }
}
