from notification_api import Task


async def handle(task: Task) -> str:
    return f"Hello, {task.data}!"
