import { api } from "./client";

document.querySelector("#app")!.innerHTML = `
  <p>Connection: <span id="connection"></span></p>
  <button>Submit a task</button>
  <p id="task"></p>
  <ul></ul>`;

const show = (selector: string, text: string) => {
  document.querySelector(selector)!.textContent = text;
};

api.connection.subscribe(() => {
  const { state, error } = api.connection.getSnapshot();
  show("#connection", `${state} ${error?.message ?? ""}`);
});

api.notifications.subscribe(() => {
  const items = api.notifications.getSnapshot().items.map(({ message }) => {
    const item = document.createElement("li");
    item.textContent = message;
    return item;
  });
  document.querySelector("ul")!.replaceChildren(...items);
});

document.querySelector("button")!.addEventListener("click", async () => {
  try {
    const { taskId } = await api.submit("default", "hello");
    const task = api.tasks.watch(taskId);
    const showTask = () => {
      const { state, percent } = task.getSnapshot() ?? {};
      show("#task", `Task: ${state} ${percent === undefined ? "" : `${Math.round(percent)} %`}`);
    };
    task.subscribe(showTask);
    showTask();
  } catch (error) {
    show("#task", String(error));
  }
});

api.start();
