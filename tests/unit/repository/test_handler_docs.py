"""Every handler in docs/handlers.md runs as it stands there."""

import functools
import re
from typing import Any

import pytest

from local.plan import ROOT
from notification_api import PermanentError, Task, TransientError
from services.processor.handlers.loader import runnable
from tests.support.processor.make_task import make_task

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "handlers.md").read_text(), re.DOTALL)


def module(word: str) -> dict[str, Any]:
    """The names of the one block that holds `word`."""
    (block,) = (each for each in BLOCKS if word in each)
    names: dict[str, Any] = {}
    exec(compile(block, "docs/handlers.md", "exec"), names)  # noqa: S102 — our own documentation
    return names


async def answer(word: str, task: Task) -> str:
    with runnable(module(word)["handle"], 1) as handler:
        return await handler(task)


@pytest.mark.parametrize(
    ("word", "data", "text"),
    [("upper()", "quiet", "QUIET"), ("isdigit", "8", "half of it is 4"), ("cancelled", "5", "10"), ("timed", "x", "x")],
)
async def test_the_handlers_in_the_documentation_do_what_it_says(word: str, data: str, text: str) -> None:
    assert await answer(word, make_task(data)) == text


@pytest.mark.parametrize(("data", "error"), [("word", PermanentError), ("503", TransientError)])
async def test_its_errors_are_those_of_the_table(data: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await answer("isdigit", make_task(data))


async def test_the_one_that_bears_repetition_does() -> None:
    names = module("invoices")
    with runnable(names["handle"], 1) as handler:
        assert await handler(make_task(fields={"month": "May"})) == "invoice for May"
        assert await handler(make_task(fields={"month": "June"})) == "invoice for May"


async def test_progress_is_published() -> None:
    published: list[str] = []

    async def publish(text: str) -> bool:
        published.append(text)
        return True

    assert await answer("page {page", make_task(publish_progress=publish)) == "3 pages"
    assert published == ["page 1 of 3", "page 2 of 3", "page 3 of 3"]


async def test_middleware_is_seen_through() -> None:
    names = module("timed")
    assert names["handle"].__name__ == "handle"
    await functools.partial(names["handle"])(make_task())
    assert len(names["seconds"]) == 1
