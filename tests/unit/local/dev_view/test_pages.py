"""What the pages of the developer's view show."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from local.dev_view.log_files import LogLine
from local.dev_view.pages import dead_letters_page, faults_page, problem_page, task_page, tasks_page
from local.dev_view.switches import Switch
from local.dev_view.tasks import MAX_TASKS, Task

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ATTACK = "<script>alert(1)</script>\"'&"
LETTER: dict[str, Any] = {
    "messageId": "message-1",
    "taskId": "task-1",
    "type": "report",
    "userId": "user-1",
    "reason": "permanent",
    "detail": "PermanentError: no",
    "deadLetteredAt": "2026-11-28T10:59:00.000+00:00",
}


def a_task(task_id: str = "task-1", **fields: Any) -> Task:
    line = LogLine("processor", NOW, {"taskId": task_id, "level": "WARNING", "message": "handler failed", **fields})
    return Task(task_id, (line,), "report", "failed", "user-1", 2, 1)


def listed(*letters: dict[str, Any]) -> dict[str, Any]:
    return {"messages": list(letters), "approximateCount": len(letters)}


class Texts(HTMLParser):
    """The texts and tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "page",
    [
        tasks_page([a_task(ATTACK)], ATTACK),
        task_page(a_task(ATTACK, message=ATTACK, level=ATTACK, exception=ATTACK, **{ATTACK: ATTACK})),
        dead_letters_page(listed({**LETTER, **dict.fromkeys(LETTER, ATTACK)}), ATTACK, None, NOW),
        faults_page([Switch(ATTACK, ATTACK, is_on=True)], ATTACK),
        problem_page(ATTACK),
    ],
)
def test_no_text_becomes_markup(page: str) -> None:
    parsed = Texts(page)
    assert "script" not in parsed.tags
    assert ATTACK in parsed.text or "<script>" not in page
    assert " style=" not in page


def test_a_task_is_shown_with_its_log_lines() -> None:
    page = task_page(a_task(attempt=1, exception="Traceback"))
    for shown in ("task-1", "report", "failed", "user-1", "handler failed", "attempt=1", "Traceback", "processor"):
        assert shown in page


def test_a_task_id_is_encoded_in_its_link() -> None:
    assert 'href="/dev/task/..%2Fmail%3Fx"' in tasks_page([a_task("../mail?x")], None)


def test_the_list_of_tasks_is_bounded_and_says_so() -> None:
    tasks = [a_task(f"task-{number}") for number in range(MAX_TASKS + 1)]
    page = tasks_page(tasks, None)
    assert page.count("/dev/task/") == MAX_TASKS
    assert f"the newest {MAX_TASKS} of {MAX_TASKS + 1} tasks" in page
    assert "newest" not in tasks_page(tasks[:MAX_TASKS], None)


def test_a_dead_letter_has_its_reason_its_age_and_a_button() -> None:
    page = dead_letters_page(listed(LETTER), "the-form-token", None, NOW)
    for shown in (
        "task-1",
        "report",
        "user-1",
        "permanent",
        "PermanentError: no",
        ">1 h<",
        ">Redrive<",
        ">Redrive all<",
    ):
        assert shown in page
    assert re.search(r'name="formToken" value="the-form-token"><input type="hidden" name="id" value="message-1"', page)


@pytest.mark.parametrize(
    ("time", "age"),
    [
        ("2026-11-28T11:59:30+00:00", "30 s"),
        ("2026-11-28T11:50:00+00:00", "10 min"),
        ("2026-11-25T12:00:00+00:00", "3 d"),
        ("2026-11-28T12:00:09+00:00", "0 s"),
        ("no time", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_age_of_a_dead_letter(time: str | None, age: str) -> None:
    assert f">{age}<" in dead_letters_page(listed({**LETTER, "deadLetteredAt": time}), "", None, NOW)


def test_a_switch_shows_its_state_and_offers_the_other_one() -> None:
    page = faults_page([Switch("a", "Fault A", is_on=True), Switch("b", "Fault B", is_on=False)], "")
    assert page.index("Fault A") < page.index("Switch off") < page.index("Fault B") < page.index("Switch on")
    assert 'name="on" value="true"' in page[page.index("Fault B") :]
