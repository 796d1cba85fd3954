"""Every handler in docs/handlers.md runs unchanged."""

import functools
import re
from typing import Any

import pytest

from local.plan import ROOT
from notification_api import PermanentError, Task, TransientError
from tests.support.processor.handler_call import call_of
from tests.support.processor.make_task import make_task

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "handlers.md").read_text(), re.DOTALL)


def module(word: str) -> dict[str, Any]:
    """The names that the one block with `word` defines."""
    (block,) = (each for each in BLOCKS if word in each)
    names: dict[str, Any] = {}
    exec(compile(block, "docs/handlers.md", "exec"), names)  # noqa: S102 — our own documentation
    return names


async def answer(word: str, task: Task) -> str:
    async with call_of(module(word)["handle"]) as call:
        return (await call(task)).message


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


async def test_the_idempotent_handler_can_be_repeated() -> None:
    names = module("invoices")
    async with call_of(names["handle"]) as call:
        assert (await call(make_task(fields={"month": "May"}))).message == "invoice for May"
        assert (await call(make_task(fields={"month": "June"}))).message == "invoice for May"


async def test_progress_is_published() -> None:
    published: list[str] = []

    async def publish(text: str, _percent: float | None) -> bool:
        published.append(text)
        return True

    assert await answer("page {page", make_task(publish_progress=publish)) == "3 pages"
    assert published == ["page 1 of 3", "page 2 of 3", "page 3 of 3"]


async def test_handlers_are_found_behind_middleware() -> None:
    names = module("timed")
    assert names["handle"].__name__ == "handle"
    await functools.partial(names["handle"])(make_task())
    assert len(names["seconds"]) == 1
