async def handle(task):
    return f"Hello, {task.data}!"
