"""A handler that fails as the task's field `do` asks, to test the panels of failures."""

from notification_api import PermanentError, Task, TransientError


async def handle(task: Task) -> str:
    """Fail permanently with `fail`, and in the first attempt with `stumble`."""
    way = task.fields.get("do")
    if way == "fail":
        raise PermanentError("as asked")
    if way == "stumble" and task.attempt == 1:
        raise TransientError("as asked")
    return task.data
