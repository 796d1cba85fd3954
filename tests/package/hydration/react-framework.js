import {
  NotificationApiProvider,
  useConnection,
  useNotifications,
  useTask,
  useTasks,
} from "notification-api-client/react";
import { StrictMode, createElement } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";

function Summary() {
  const { state } = useConnection();
  const { items } = useNotifications();
  const tasks = useTasks();
  const task = useTask("t1");
  const text = `${state}, ${items.length} notifications, ${tasks.length} tasks, ${task?.state}, ${useTask(undefined)}`;
  return createElement("p", null, text);
}

/** Two components use the client. */
function app(api) {
  return createElement(NotificationApiProvider, { api }, createElement(Summary), createElement(Summary));
}

export function render(api) {
  return renderToString(app(api));
}

/** Returns a function that unmounts the page. */
export function show(api, element, { isHydrated, isStrict }) {
  const page = isStrict ? createElement(StrictMode, null, app(api)) : app(api);
  if (isHydrated) {
    const root = hydrateRoot(element, page);
    return () => root.unmount();
  }
  const root = createRoot(element);
  root.render(page);
  return () => root.unmount();
}
