"""Submit a task as a user, and wait for its result."""

import asyncio
import os

from notification_api.client import NotificationApi


async def main() -> None:
    async with NotificationApi(os.environ["API_URL"], token=os.environ["ID_TOKEN"]) as api:
        task = await api.submit("steps", {"steps": 3})
        print(f"submitted {task.id}")
        result = await task.finished(timeout=60)
        print(result.message)


asyncio.run(main())
