import { useState } from "react";
import {
  NotificationApiProvider,
  useConnection,
  useNotificationApi,
  useNotifications,
  useTask,
} from "notification-api-client/react";
import { api } from "./client";

export default function App() {
  return (
    <NotificationApiProvider api={api}>
      <TaskList />
    </NotificationApiProvider>
  );
}

function TaskList() {
  const api = useNotificationApi();
  const { state, error } = useConnection();
  const { items } = useNotifications();
  const [taskId, setTaskId] = useState<string>();
  const [refusal, setRefusal] = useState("");
  const task = useTask(taskId);

  async function submit() {
    try {
      setTaskId((await api.submit("default", "hello")).taskId);
    } catch (error) {
      setRefusal(String(error));
    }
  }

  return (
    <main>
      <p>
        Connection: {state} {error?.message}
      </p>
      <button onClick={submit}>Submit a task</button> {refusal}
      {task && (
        <p>
          Task: {task.state} {task.percent !== undefined && `${Math.round(task.percent)} %`}
        </p>
      )}
      <ul>
        {items.map(({ taskId, message }) => (
          <li key={taskId}>{message}</li>
        ))}
      </ul>
    </main>
  );
}
