"""Every handler in the pages about handlers runs unchanged, and their limits are those of the code."""

import functools
import re
from collections.abc import Callable
from typing import Any

import pytest

from local.plan import ROOT
from notification_api import Handlers, PermanentError, Result, Task, TransientError, handlers, json_rules
from notification_api.task import PROGRESS_SECONDS
from notification_api.testing import run_async
from services.common.messages.notification import MAX_BYTES
from services.processor.handlers import instances, runner
from services.processor.handlers.errors import public_text
from tests.support.processor.handler_call import call_of, opened_types
from tests.support.processor.make_task import make_task

PAGES = ("how-to/write-a-handler.md", "how-to/test-a-handler.md", "reference/handlers.md")
TEXT = "\n".join((ROOT / "docs" / page).read_text() for page in PAGES)
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def module(word: str) -> dict[str, Any]:
    """The names that the one block with `word` defines."""
    (block,) = (each for each in BLOCKS if word in each)
    names: dict[str, Any] = {}
    exec(compile(block, "a page about handlers", "exec"), names)  # noqa: S102 — our own documentation
    return names


async def answer(word: str, task: Task) -> str:
    async with call_of(module(word)["handle"]) as call:
        return (await call(task)).message


HANDLED = [
    *(("upper()", "quiet", "QUIET"), ("isdigit", "8", "half of it is 4"), ("total", "5", "10"), ("timed", "x", "x")),
]


@pytest.mark.parametrize(("word", "data", "text"), HANDLED)
async def test_the_handlers_in_the_documentation_do_what_it_says(word: str, data: str, text: str) -> None:
    assert await answer(word, make_task(data)) == text


@pytest.mark.parametrize(("data", "error"), [("word", PermanentError), ("503", TransientError)])
async def test_its_errors_are_those_of_the_table(data: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        await answer("isdigit", make_task(data))
    assert public_text(raised.value) == ("Enter a whole number" if error is PermanentError else None)


async def test_the_idempotent_handler_can_be_repeated() -> None:
    names = module("invoices")
    async with call_of(names["handle"]) as call:
        assert (await call(make_task(fields={"month": "May"}))).message == "invoice for May"
        assert (await call(make_task(fields={"month": "June"}))).message == "invoice for May"


async def test_progress_is_published() -> None:
    published: list[tuple[str, float | None]] = []

    async def publish(text: str, percent: float | None) -> bool:
        published.append((text, percent))
        return True

    assert await answer("page {page + 1}", make_task(publish_progress=publish)) == "3 pages"
    assert published == [("page 1 of 3", 100 / 3), ("page 2 of 3", 200 / 3), ("page 3 of 3", 100)]


async def test_handlers_are_found_behind_middleware() -> None:
    names = module("timed")
    assert names["handle"].__name__ == "handle"
    await functools.partial(names["handle"])(make_task())
    assert len(names["seconds"]) == 1


async def test_the_first_handler_is_of_a_type_with_its_own_limits() -> None:
    registered: Handlers = module('"report", timeout_seconds')["handlers"]
    async with opened_types(registered) as types:
        report = types["report"]
        assert (report.timeout_seconds, report.max_attempts, report.concurrency) == (600, 3, 4)
        result = await report.call(make_task("2026-05"))
    assert result == Result("Your report is ready", {"url": "https://reports.example.com/1"})


async def test_the_handler_that_is_an_object_is_opened_and_closed() -> None:
    async with opened_types(module("class Count")["handlers"]) as types:
        assert (await types["count"].call(make_task("users"))).message == "5 rows"


async def test_the_cleanup_of_a_cancelled_task_runs() -> None:
    names = module("drafts")
    assert (await run_async(names["handle"], cancel_after_progress=1)).status == "cancelled"
    assert names["drafts"] == set()


TESTS: dict[str, Callable[[], None]] = {
    name: each for name, each in module("import run\n").items() if name.startswith("test_")
}


@pytest.mark.parametrize("name", TESTS)
def test_its_tests_pass(name: str) -> None:
    TESTS[name]()


def test_every_block_is_run_by_a_test_here() -> None:
    tested = [*(word for word, _, _ in HANDLED), "invoices", "page {page + 1}", "class Count", "drafts", "import run\n"]
    words = [*tested, '"report", timeout_seconds']
    assert all(sum(word in block for word in words) == 1 for block in BLOCKS)
    assert len(words) == len(BLOCKS)


@pytest.mark.parametrize(
    "sentence",
    [
        f"at most **{json_rules.MAX_RESULT_BYTES // 1024} KiB** as JSON",
        f"at most **{MAX_BYTES:,} bytes**",
        f"up to {json_rules.MAX_LEVELS} levels",
        f"up to {handlers.LONGEST_TIMEOUT_SECONDS:,} ",
        f"1 to {handlers.MOST_ATTEMPTS} ",
        f"at most {handlers.MAX_TYPES} types",
        f"takes more than {instances.SETUP_SECONDS:g} seconds",
        f"for {instances.TEARDOWN_SECONDS:g} seconds at most",
        f"abandoned after {runner.HANDLER_STOP_SECONDS:g} seconds",
    ],
)
def test_its_limits_are_those_of_the_code(sentence: str) -> None:
    assert sentence in TEXT


def test_a_thread_waits_for_its_progress_as_long_as_the_documentation_says() -> None:
    assert PROGRESS_SECONDS == 2
