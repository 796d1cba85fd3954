import {
  provideNotificationApi,
  useConnection,
  useNotifications,
  useTask,
  useTasks,
} from "notification-api-client/vue";
import { createApp, createSSRApp, h } from "vue";
import { renderToString } from "vue/server-renderer";

const Summary = {
  setup() {
    const { state } = useConnection();
    const { items } = useNotifications();
    const [tasks, task, none] = [useTasks(), useTask(() => "t1"), useTask(undefined)];
    const text = () =>
      `${state.value}, ${items.value.length} notifications, ${tasks.value.length} tasks, ${task.value?.state}, ${none.value}`;
    return () => h("p", text());
  },
};

/** Two components use the client. */
function pageOf(api) {
  return {
    setup() {
      provideNotificationApi(api);
      return () => [h(Summary), h(Summary)];
    },
  };
}

export function render(api) {
  return renderToString(createSSRApp(pageOf(api)));
}

/** Returns a function that unmounts the page. */
export function show(api, element, { isHydrated }) {
  const app = isHydrated ? createSSRApp(pageOf(api)) : createApp(pageOf(api));
  app.mount(element);
  return () => app.unmount();
}
