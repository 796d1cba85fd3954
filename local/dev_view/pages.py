"""The pages of the developer's view. They only render; every text is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from local.dev_view.log_files import LogLine
from local.dev_view.switches import Switch
from local.dev_view.tasks import MAX_TASKS, Task
from local.html import Content, Html, element, joined, page, table

TASKS, DEAD_LETTERS, FAULTS = "/dev", "/dev/dead-letters", "/dev/faults"
_LINKS = ((TASKS, "Tasks"), (DEAD_LETTERS, "Dead letters"), (FAULTS, "Faults"), ("/mail", "Mails"))
UNKNOWN = "unknown"
_SHOWN_ELSEWHERE = frozenset({"time", "level", "message", "logger", "service", "stage", "taskId", "exception"})


def tasks_page(tasks: Sequence[Task], problem: str | None) -> str:
    """Render the newest tasks.

    :param problem: why the users are not shown, if so.
    """
    rows = [
        (
            _link(task.id),
            *(task.type or UNKNOWN, task.status, task.user_id or UNKNOWN, task.deliveries, task.attempts),
            _time(task.first_time),
            _message(task.last_line),
        )
        for task in tasks[:MAX_TASKS]
    ]
    headings = ("Task", "Type", "Status", "User", "Deliveries", "Attempts", "Since", "Last log line")
    none = element("p", "No task yet. Submit one: its log lines appear here.")
    more = (
        f"These are the newest {MAX_TASKS} of {len(tasks)} tasks in the log files." if len(tasks) > MAX_TASKS else None
    )
    return _page(
        *("Tasks", TASKS),
        _notice(problem),
        table(headings, rows) if rows else none,
        more and element("p", more),
    )


def task_page(task: Task) -> str:
    """Render a task with all its log lines."""
    rows = [
        (
            _time(line.time),
            element("span", line.program, class_="nowrap"),
            element("span", line.level, class_=f"nowrap level-{line.level}"),
            *(_message(line), _details(line)),
        )
        for line in task.lines
    ]
    known = (
        *(("Type", task.type or UNKNOWN), ("Status", task.status), ("User", task.user_id or UNKNOWN)),
        *(("Deliveries", task.deliveries), ("Attempts", task.attempts)),
    )
    return _page(
        *(f"Task {task.id}", None),
        element("dl", *(joined(element("dt", name), element("dd", value)) for name, value in known)),
        element("h2", "Log lines"),
        table(("Time", "Program", "Level", "Message", "Details"), rows),
    )


def dead_letters_page(listed: Mapping[str, Any], form_token: str, redriven: int | None, now: datetime) -> str:
    """Render what the dead-letter command has listed.

    :param redriven: how many were just redriven.
    """
    messages: list[Mapping[str, Any]] = listed["messages"]
    rows = [
        (
            _link(each["taskId"]),
            *(each["type"], each["userId"] or UNKNOWN, each["reason"], each["detail"]),
            _age(each["deadLetteredAt"], now),
            _form(DEAD_LETTERS, "Redrive", form_token, id=each["messageId"]),
        )
        for each in messages
    ]
    headings = ("Task", "Type", "User", "Reason", "Detail", "Age", "")
    count = f"{len(messages)} of about {listed['approximateCount']} dead letters. "
    everything = element("div", count, _form(DEAD_LETTERS, "Redrive all", form_token), class_="spaced")
    return _page(
        *("Dead letters", DEAD_LETTERS),
        element("p", f"{redriven} redriven.", role="status") if redriven is not None else None,
        *([everything, table(headings, rows)] if rows else [element("p", "The dead-letter queue is empty.")]),
    )


def faults_page(switches: Iterable[Switch], form_token: str) -> str:
    """Render the switches."""
    rows = [
        (
            switch.effect,
            element("strong", "on") if switch.is_on else "off",
            _form(FAULTS, _turn(switch), form_token, name=switch.name, on="" if switch.is_on else "true"),
        )
        for switch in switches
    ]
    return _page(
        *("Faults", FAULTS),
        element("p", "A fault lasts until it is switched off here, or its emulator is restarted."),
        table(("Fault", "State", ""), rows),
        element("div", _form(FAULTS, "Reset all", form_token), class_="spaced"),
    )


def problem_page(problem: str) -> str:
    """Render why a page cannot be shown, or an action was not done."""
    return _page("Not available", None, _notice(problem))


def _link(task_id: str) -> Html:
    return element("a", task_id, href=f"/dev/task/{quote(task_id, safe='')}")


def _turn(switch: Switch) -> str:
    return "Switch off" if switch.is_on else "Switch on"


def _page(title: str, path: str | None, *content: Content) -> str:
    links = (
        element("a", name, href=target, aria_current="page" if target == path else None) for target, name in _LINKS
    )
    return page(title, *content, navigation=element("nav", *links))


def _form(action: str, button: str, form_token: str, **fields: str) -> Html:
    hidden = {"formToken": form_token, **fields}
    inputs = (element("input", type="hidden", name=name, value=value) for name, value in hidden.items())
    return element("form", *inputs, element("button", button), method="post", action=action)


def _notice(problem: str | None) -> Html | None:
    return element("p", problem, class_="notice", role="alert") if problem else None


def _message(line: LogLine) -> Html:
    return element("span", line.message, class_=f"level-{line.level}")


def _details(line: LogLine) -> Html:
    fields = (
        f"{name}={value}" for name, value in line.fields.items() if name not in _SHOWN_ELSEWHERE and value is not None
    )
    exception = line.fields.get("exception")
    return element("div", element("code", " ".join(fields)), element("pre", str(exception)) if exception else None)


def _time(time: datetime) -> Html:
    local = time.astimezone()
    return element("time", f"{local:%d %b %H:%M:%S}.{local.microsecond // 1000:03}", datetime=local.isoformat())


def _age(time: str | None, now: datetime) -> str:
    """Return the age of a dead letter, whose time SQS itself does not write."""
    try:
        seconds = (now - datetime.fromisoformat(time or "").astimezone(UTC)).total_seconds()
    except ValueError:
        return UNKNOWN
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"
