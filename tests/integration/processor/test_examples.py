"""The examples run as in their images."""

import re
from pathlib import Path
from typing import Any

import pytest

from local.plan import ROOT
from services.common.messages.task_message import TaskMessage
from tests.support.processes.service import processor_process
from tests.support.processor.stage import ProcessorStage
from tests.support.waiting import wait_until

GREETING = ROOT / "examples" / "greeting"
REPORTS = ROOT / "examples" / "reports"


def instruction(name: str, example: Path = GREETING) -> str:
    """The arguments of an instruction of the example's Dockerfile."""
    found = re.search(rf"^{name} (.+)$", (example / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    return found[1]


def settings_of_image(example: Path, tmp_path: Path) -> dict[str, Any]:
    """What the example's image sets, with the code that it has."""
    source, _, _ = instruction("COPY", example).partition(" ")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / source).write_text((example / source).read_text())
    setting, _, handler = instruction("ENV", example).partition("=")
    return {setting: handler, "PYTHONPATH": str(tmp_path / "app")}


async def test_the_example_handler_runs_with_the_setting_of_its_image(stage: ProcessorStage, tmp_path: Path) -> None:
    source, _, _ = instruction("COPY").partition(" ")
    assert len([line for line in (GREETING / source).read_text().splitlines() if line]) == 3
    settings = settings_of_image(GREETING, tmp_path)
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings):
        await stage.send("user", "Ada")
        await notifications.wait(1)
    assert notifications.received[0]["message"] == "Finished task: Hello, Ada!"


async def test_the_example_with_several_types_writes_a_report(stage: ProcessorStage, tmp_path: Path) -> None:
    settings = settings_of_image(REPORTS, tmp_path) | {"REPORTS_FOLDER": str(tmp_path)}
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings):
        task_id = await stage.send("user", "2026-05")
        await wait_until(lambda: (task_id, "finished") in notifications.statuses())
    assert notifications.received[0]["message"] == "page 1 of 4"
    assert notifications.received[0]["percent"] == 25
    assert notifications.received[-1]["message"] == "Finished task: Your report is ready"
    assert notifications.received[-1]["data"] == {"url": f"https://reports.example.com/{task_id}.txt"}
    assert (tmp_path / "reports" / f"{task_id}.txt").read_text().splitlines()[3] == "2026-05, page 4"


async def test_the_example_explains_a_failure_to_the_user(stage: ProcessorStage, tmp_path: Path) -> None:
    settings = settings_of_image(REPORTS, tmp_path)
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings):
        task = TaskMessage(task_id="1", user_id="user", payload='{"data": "5\\nx"}', type="import")
        await stage.send_raw(task.body(), task.attributes(), group_id="user")
        await wait_until(lambda: ("1", "failed") in notifications.statuses())
    last = notifications.received[-1]
    assert (last["message"], last["type"]) == ("Failed task: Line 2 is not an amount", "import")


@pytest.mark.parametrize("example", [GREETING, REPORTS], ids=lambda example: example.name)
def test_the_example_image_is_based_on_the_products_image(example: Path) -> None:
    words = "docker build --target runtime -t localhost/notification-api:dev ."
    assert instruction("ARG", example) == "NOTIFICATION_API=localhost/notification-api:dev"
    assert words in (ROOT / "Dockerfile").read_text()
    assert words in (example / "README.md").read_text()
