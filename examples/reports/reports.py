"""Two task types: `report` writes a month's report page by page, `import` reads amounts from a text."""

import asyncio
import os
import re
import tempfile
from pathlib import Path

from notification_api import Handlers, PermanentError, Result, Task

handlers = Handlers()

PAGES = 4


@handlers.register()  # tasks whose request names no type
@handlers.register("report", timeout_seconds=600, concurrency=4)
class Report:
    """Writes reports to a folder that a web server serves. One object serves all tasks of the type."""

    async def setup(self) -> None:
        """Open what all tasks share; a real one would open a connection pool."""
        self._folder = Path(os.environ.get("REPORTS_FOLDER", tempfile.gettempdir()), "reports")
        self._url = os.environ.get("REPORTS_URL", "https://reports.example.com")
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)

    async def teardown(self) -> None:
        """Remove what interrupted tasks have left."""
        for draft in self._folder.glob("*.draft"):
            draft.unlink()

    async def __call__(self, task: Task) -> Result:
        if not isinstance(task.data, str) or not re.fullmatch(r"\d{4}-\d{2}", task.data):
            raise PermanentError(f"no month: {task.data!r}", public="Choose a month, such as 2026-05")
        pages = []
        for number in range(1, PAGES + 1):
            pages.append(await read_page(task.data, number))
            await task.progress(f"page {number} of {PAGES}", 100 * number / PAGES)
        # Named by the task's id: if the task runs twice, it writes the same file.
        draft = self._folder / f"{task.id}.draft"
        await asyncio.to_thread(draft.write_text, "\n".join(pages))
        draft.rename(draft.with_suffix(".txt"))
        return Result("Your report is ready", data={"url": f"{self._url}/{task.id}.txt"})


@handlers.register("import", max_attempts=2)
def import_amounts(task: Task) -> str:
    """Add up the amounts of a text, one a line. A plain function: it runs in a thread."""
    lines, total = str(task.data).splitlines(), 0
    for number, line in enumerate(lines, 1):
        if task.cancelled:
            break
        if not line.strip().isdecimal():
            raise PermanentError(f"line {number} is no amount", public=f"Line {number} is not an amount")
        total += int(line)
        task.progress_from_thread(f"line {number}", 100 * number / len(lines))
    return f"{len(lines)} amounts, {total} in all"


async def read_page(month: str, number: int) -> str:
    """Stand in for what takes long."""
    await asyncio.sleep(0.5)
    return f"{month}, page {number}"
