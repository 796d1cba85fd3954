"use client";
/** The client's stores as React hooks. Nothing here runs on a server but the first rendering. */
import {
  createContext,
  createElement,
  useContext,
  useEffect,
  useMemo,
  useSyncExternalStore,
  type ReactElement,
  type ReactNode,
} from "react";
import type { ConnectionStatus, NotificationApi, NotificationList, Store, Task } from "..";
import { ValueStore } from "../internal/store";

const Context = createContext<NotificationApi | null>(null);

const NO_TASK: Store<Task | undefined> = new ValueStore<Task | undefined>(undefined);

/** Gives `api` to the components below it. It is connected while any provider of it is mounted, in browsers only. */
export function NotificationApiProvider({
  api,
  children,
}: {
  api: NotificationApi;
  children?: ReactNode;
}): ReactElement {
  useEffect(() => api.mount(), [api]);
  // React 18 has no <Context>.
  return createElement(Context.Provider, { value: api }, children);
}

/** The `api` of the nearest `<NotificationApiProvider>`. */
export function useNotificationApi(): NotificationApi {
  const api = useContext(Context);
  if (api === null) throw new Error("There is no <NotificationApiProvider> above this component");
  return api;
}

export function useConnection(): ConnectionStatus {
  return useStore(useNotificationApi().connection);
}

/** Newest first. */
export function useTasks(): readonly Task[] {
  return useStore(useNotificationApi().tasks);
}

/** Undefined while the task, or its id, is unknown. */
export function useTask(taskId: string | undefined): Task | undefined {
  const { tasks } = useNotificationApi();
  return useStore(useMemo(() => (taskId === undefined ? NO_TASK : tasks.watch(taskId)), [tasks, taskId]));
}

export function useNotifications(): NotificationList & { markRead: (until?: number) => void } {
  const { notifications } = useNotificationApi();
  const current = useStore(notifications);
  return useMemo(() => ({ ...current, markRead: (until) => notifications.markRead(until) }), [current, notifications]);
}

function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.getSnapshot, store.getServerSnapshot);
}
