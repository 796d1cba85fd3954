"""The examples run as in their images."""

import re
from pathlib import Path
from typing import Any

from local.plan import ROOT
from tests.support.processes.service import processor_process
from tests.support.processor.stage import ProcessorStage

GREETING = ROOT / "examples" / "greeting"


def instruction(name: str) -> str:
    """The arguments of an instruction of the example's Dockerfile."""
    found = re.search(rf"^{name} (.+)$", (GREETING / "Dockerfile").read_text(), re.MULTILINE)
    assert found
    return found[1]


async def test_the_example_handler_runs_with_the_setting_of_its_image(stage: ProcessorStage, tmp_path: Path) -> None:
    source, _, _ = instruction("COPY").partition(" ")
    code = (GREETING / source).read_text()
    assert len([line for line in code.splitlines() if line]) == 3
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / source).write_text(code)
    setting, _, handler = instruction("ENV").partition("=")
    settings: dict[str, Any] = {setting: handler, "PYTHONPATH": str(tmp_path / "app")}
    async with stage.notifications("user") as notifications, processor_process(stage, tmp_path, **settings):
        await stage.send("user", "Ada")
        await notifications.wait(1)
    assert notifications.received[0]["message"] == "Finished task: Hello, Ada!"


def test_the_example_image_is_based_on_the_products_image() -> None:
    words = "docker build --target runtime -t localhost/notification-api:dev ."
    assert instruction("ARG") == "NOTIFICATION_API=localhost/notification-api:dev"
    assert words in (ROOT / "Dockerfile").read_text()
    assert words in (GREETING / "README.md").read_text()
