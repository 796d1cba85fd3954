import { inject, provide, type InjectionKey, type Ref } from "vue";
import type { TaskActions } from "../session/task-actions";

/** What every part of the list needs. */
export interface TaskContext {
  actions: TaskActions;
  /** The one clock: epoch milliseconds. */
  now: Ref<number>;
  /** Scrolls to a task and focuses it. */
  reveal: (key: string) => void;
}

const CONTEXT: InjectionKey<TaskContext> = Symbol("tasks");

export function provideTaskContext(context: TaskContext): void {
  provide(CONTEXT, context);
}

export function useTaskContext(): TaskContext {
  const context = inject(CONTEXT);
  if (context === undefined) throw new Error("There is no task context");
  return context;
}
