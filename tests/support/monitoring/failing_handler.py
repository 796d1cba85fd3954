"""A handler for a processor whose panels of failures are looked at: what the task's payload says in `do` happens."""

from notification_api import PermanentError, Task, Transient


async def handle(task: Task) -> str:
    """Never finish a task that is to `fail`, and one that is to `stumble` only the second time."""
    way = task.fields.get("do")
    if way == "fail":
        raise PermanentError("as asked")
    if way == "stumble" and task.attempt == 1:
        raise Transient("as asked")
    return task.data
