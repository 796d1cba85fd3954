"""The target in docs/how-to/schedule-tasks.md is a valid request, and its message is the task of the page."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from local.plan import ROOT
from services.common.messages.task_message import TaskMessage, parse_task

BLOCKS = re.findall(r"```\n(.*?)```", (ROOT / "docs/how-to/schedule-tasks.md").read_text(), re.DOTALL)
UNIVERSAL_TARGET = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"

pytestmark = pytest.mark.skipif(shutil.which("jq") is None, reason="the commands of the page need jq")


@pytest.fixture(scope="module", params=["target.json", "monthly.json"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the page's commands write, without those that call AWS."""
    folder: Path = tmp_path_factory.mktemp("schedule")
    commands = [block for block in BLOCKS if "target.json" in block]
    script = "aws() { true; }\n" + "".join(commands)
    subprocess.run(["bash", "-euc", script], cwd=folder, check=True)
    return json.loads((folder / request.param).read_text())


def problems(service: str, operation: str, request: dict[str, Any], shape: str = "") -> str:
    model = get_session().get_service_model(service).operation_model(operation).input_shape
    assert model is not None
    return str(ParamValidator().validate(request, model.members[shape] if shape else model).generate_report())


def test_the_target_and_its_input_are_valid_requests(target: Any) -> None:
    assert target["Arn"] == UNIVERSAL_TARGET
    assert problems("scheduler", "CreateSchedule", target, "Target") == ""
    assert problems("sqs", "SendMessage", json.loads(target["Input"])) == ""


def test_the_message_is_the_task_that_the_page_describes(target: Any) -> None:
    request = json.loads(target["Input"])
    attributes = {name: value["StringValue"] for name, value in request["MessageAttributes"].items()}
    attributes["taskId"] = attributes["taskId"].replace("<aws.scheduler.scheduled-time>", "2026-12-01T07:00:00Z")
    task, fields = parse_task(request["MessageBody"], attributes, "message-id")
    assert task.task_id in {"report-2026-12", "report-2026-12-01T07:00:00Z"}
    assert fields == {"data": {"month": "2026-12"}}
    assert request["MessageGroupId"] == task.user_id
    assert task == TaskMessage(
        task_id=task.task_id, user_id=task.user_id, payload=task.payload, type="report", idempotent=True
    )


def test_the_policy_permits_the_request_of_the_target() -> None:
    for name, action in (("scheduler", "sqs:SendMessage"), ("trust-scheduler", "sts:AssumeRole")):
        (statement,) = json.loads((ROOT / f"docs/iam/{name}.json").read_text())["Statement"]
        assert (statement["Effect"], statement["Action"]) == ("Allow", action)
