"""A discrete-event simulator of queue, pods and autoscalers. docs/scaling.md states what it assumes."""
