"""The metrics of the SLO: each accepted task that is notified counts once; the age of the key comes from SSM."""

import math
import time
from typing import TYPE_CHECKING, cast

from aiobotocore.session import get_session

from notification_api import Task
from services.common.aws.ssm_parameter import SsmParameter
from services.common.messages.task_message import TaskMessage
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import PARAMETER, ProcessorServers, ProcessorStage

if TYPE_CHECKING:
    from types_aiobotocore_ssm.client import SSMClient


async def echo(task: Task) -> str:
    return task.data


async def test_a_task_that_is_submitted_twice_counts_as_notified_twice(stage: ProcessorStage) -> None:
    notified = Counted("end_to_end_seconds_count")
    async with stage.notifications("user") as notifications, processor_in_process(stage, echo):
        for number in range(2):
            await stage.send("user", task_id="same", idempotent=True)
            await notifications.wait(number + 1)
        await stage.until_empty()
    assert notified() == 2


async def test_a_task_that_expires_before_it_runs_does_not_count(stage: ProcessorStage) -> None:
    """Its user has waited for as long as the task could be of use."""
    notified, expired = Counted("end_to_end_seconds_count"), Counted("tasks_expired_total")
    task = TaskMessage(task_id="late", user_id="user", payload='{"data": "x"}', expires_at_ms=1_700_000_000_000)
    async with stage.notifications("user") as notifications, processor_in_process(stage, echo):
        await stage.send_raw(task.body(), task.attributes(), group_id="user")
        await notifications.wait(1)
        await stage.until_empty()
    assert notifications.statuses() == [("late", "expired")]
    assert (notified(), expired()) == (0, 1)


async def test_the_age_of_the_key_is_that_of_the_parameter(processor_servers: ProcessorServers) -> None:
    async with get_session().create_client("ssm", **processor_servers.aws.client_settings()) as ssm:
        parameter = SsmParameter(ssm, PARAMETER)
        assert math.isnan(parameter.age_seconds())
        await parameter.refresh_now()
        first = parameter.age_seconds()
        assert 0 <= first < 600
        answer = await ssm.get_parameter(Name=PARAMETER)
        assert abs(answer["Parameter"]["LastModifiedDate"].timestamp() + first - time.time()) < 1


async def test_an_age_that_ssm_does_not_return_is_unknown() -> None:
    class Silent:
        async def get_parameter(self, **_: object) -> dict[str, dict[str, str]]:
            return {"Parameter": {"Value": "key"}}

    parameter = SsmParameter(cast("SSMClient", Silent()), "name")
    assert await parameter.refresh_now()
    assert math.isnan(parameter.age_seconds())
