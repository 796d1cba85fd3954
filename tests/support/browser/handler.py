"""A task handler for the browser tests: what the data says happens.

`wait 2: text` takes two seconds, `steps 3: text` tells three pieces of progress, `fail: text` fails for good.
The tasks of the picture in the README need no such orders.
"""

import asyncio

from notification_api import PermanentError, Task

STEP_SECONDS = 1.1
"""Above the processor's own throttle of progress."""

IN_THE_PICTURE = {"Count the stars": "steps 9", "Print the labels": "fail"}


async def handle(task: Task) -> str:
    order = IN_THE_PICTURE.get(task.data) or task.data.partition(":")[0]
    word, _, amount = order.partition(" ")
    if word == "fail":
        raise PermanentError("The test says so")
    if word == "wait":
        await asyncio.sleep(float(amount))
    if word == "steps":
        await asyncio.sleep(STEP_SECONDS)  # long enough to be seen as sent
        for step in range(int(amount)):
            await task.progress(f"step {step + 1} of {amount}")
            await asyncio.sleep(STEP_SECONDS)
    return task.data
