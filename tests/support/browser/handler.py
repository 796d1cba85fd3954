"""A task handler for the browser tests: the data says what happens.

`wait 2: text` takes two seconds, `steps 3: text` reports progress three times, `fail: text` fails permanently.
The tasks of the screenshot in the README have no such prefix.
"""

import asyncio

from notification_api import PermanentError, Task

STEP_SECONDS = 1.1
"""Above the processor's minimum interval between progress notifications."""

SCREENSHOT_TASKS = {"Count the stars": "steps 9", "Print the labels": "fail"}
SCREENSHOT_RESULTS = {
    "Resize the pictures of October": "640 pictures resized, 3 were small enough already",
    "Send the invoices": "42 invoices sent",
}


async def handle(task: Task) -> str:
    command = SCREENSHOT_TASKS.get(task.data) or task.data.partition(":")[0]
    word, _, amount = command.partition(" ")
    if word == "fail":
        raise PermanentError("The test says so")
    if word == "wait":
        await asyncio.sleep(float(amount))
    if word == "steps":
        await asyncio.sleep(STEP_SECONDS)  # long enough to be shown as queued
        for step in range(int(amount)):
            await task.progress(f"step {step + 1} of {amount}", percent=100 * (step + 1) / int(amount))
            await asyncio.sleep(STEP_SECONDS)
    return SCREENSHOT_RESULTS.get(task.data, task.data)
