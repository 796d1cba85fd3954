import { inject, provide, type InjectionKey } from "vue";
import type { Clock } from "../session/clock";
import type { TaskActions } from "../session/task-actions";

/** What every part of the list needs. */
export interface TaskContext {
  actions: TaskActions;
  clock: Clock;
  /** Scrolls to a task and focuses it. */
  reveal: (key: string) => void;
  /** Has the outcome of an action read out. */
  say: (text: string) => void;
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
