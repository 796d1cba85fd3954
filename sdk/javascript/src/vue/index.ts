/** The client's stores as Vue composables. While a server renders, nothing is opened and nothing subscribed to. */
import {
  computed,
  getCurrentInstance,
  getCurrentScope,
  inject,
  onMounted,
  onUnmounted,
  provide,
  shallowRef,
  toValue,
  watch,
  type ComputedRef,
  type InjectionKey,
  type MaybeRefOrGetter,
  type ShallowRef,
} from "vue";
import type { ConnectionStatus, NotificationApi, NotificationList, Store, Task } from "..";
import { ValueStore } from "../internal/store";

const KEY: InjectionKey<NotificationApi> = Symbol("notification-api-client");

const NO_TASK: Store<Task | undefined> = new ValueStore<Task | undefined>(undefined);

type Refs<T> = { [Name in keyof T]: ComputedRef<T[Name]> };

/**
 * Gives `api` to the components below the calling one. It is connected while any component that provides it is
 * mounted, in browsers only.
 */
export function provideNotificationApi(api: NotificationApi): void {
  provide(KEY, api);
  let unmount: (() => void) | undefined;
  onMounted(() => {
    unmount = api.mount();
  });
  onUnmounted(() => unmount?.());
}

/** The `api` of the nearest component above that provides one. */
export function useNotificationApi(): NotificationApi {
  const api = inject(KEY, null);
  if (api === null) throw new Error("No component above this one calls provideNotificationApi()");
  return api;
}

export function useConnection(): Refs<ConnectionStatus> {
  const { connection } = useNotificationApi();
  const current = refOf(() => connection);
  return {
    state: computed(() => current.value.state),
    error: computed(() => current.value.error),
    since: computed(() => current.value.since),
  };
}

/** Newest first. */
export function useTasks(): Readonly<ShallowRef<readonly Task[]>> {
  const { tasks } = useNotificationApi();
  return refOf(() => tasks);
}

/** Undefined while the task, or its id, is unknown. */
export function useTask(taskId: MaybeRefOrGetter<string | undefined>): Readonly<ShallowRef<Task | undefined>> {
  const { tasks } = useNotificationApi();
  return refOf(() => {
    const id = toValue(taskId);
    return id === undefined ? NO_TASK : tasks.watch(id);
  });
}

export function useNotifications(): Refs<NotificationList> & { markRead: (until?: number) => void } {
  const { notifications } = useNotificationApi();
  const current = refOf(() => notifications);
  return {
    items: computed(() => current.value.items),
    unread: computed(() => current.value.unread),
    readUntil: computed(() => current.value.readUntil),
    markRead: (until) => notifications.markRead(until),
  };
}

/** A ref of the store's snapshot, kept up to date from mounting on, which happens in browsers only. */
function refOf<T>(store: () => Store<T>): Readonly<ShallowRef<T>> {
  const isHydrated = Boolean(getCurrentInstance()?.vnode.el);
  // What the server rendered is adopted first, or the elements would differ.
  const snapshot = shallowRef(isHydrated ? store().getServerSnapshot() : store().getSnapshot());
  const follow = (current: Store<T>, _: unknown, onCleanup: (unsubscribe: () => void) => void): void => {
    const read = (): void => {
      snapshot.value = current.getSnapshot();
    };
    read();
    onCleanup(current.subscribe(read));
  };
  // The scope may live longer than this component, where a composable is shared.
  const scope = getCurrentScope();
  onMounted(() => scope?.run(() => watch(store, follow, { immediate: true, flush: "sync" })));
  return snapshot;
}
