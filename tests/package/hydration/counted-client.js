import { NotificationApi } from "notification-api-client";

const NOTIFICATION = { taskId: "t1", status: "finished", message: "Finished task: hello", time: 1_700_000_000_000 };

/** Answers as the services do, with one notification in the history. */
async function answer(input) {
  const { pathname } = new URL(input);
  if (pathname === "/notifications") return Response.json({ notifications: [NOTIFICATION], cursor: "1" });
  if (pathname !== "/token") return Response.json({ status: 404, detail: "No such task" }, { status: 404 });
  const expiresAt = Math.floor(Date.now() / 1000) + 1_800;
  return Response.json({ token: "t", endpoint: "https://momento.test", cacheName: "c", topic: "u", expiresAt });
}

/** A client without a service, which counts its streams and the listeners of its stores. */
export function countedClient() {
  const counts = { opened: 0, open: 0, listeners: 0 };
  const openStream = () => {
    counts.opened += 1;
    counts.open += 1;
    let isOpen = true;
    const close = () => {
      counts.open -= isOpen ? 1 : 0;
      isOpen = false;
    };
    return { opened: Promise.resolve(), isAlive: () => isOpen, close };
  };
  const options = { url: "https://api.test", userId: "u", storage: null, shareConnection: false, openStream };
  const api = new NotificationApi({ ...options, getIdToken: async () => "id", fetch: answer });
  for (const store of [api.connection, api.tasks, api.notifications]) countListeners(store, counts);
  return { api, counts };
}

function countListeners(store, counts) {
  const { subscribe } = store;
  store.subscribe = (listener) => {
    const unsubscribe = subscribe(listener);
    counts.listeners += 1;
    return () => {
      counts.listeners -= 1;
      unsubscribe();
    };
  };
}
