"""A task that ingest sent twice, since the response to the first send was lost: the later copy is not run."""

import time
from typing import Any

import pytest

from notification_api import Task
from services.ingest.app import create_app
from services.ingest.settings import read_settings
from tests.support.identity import jwks_server
from tests.support.processor.in_process import Counted, processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.served_service import id_token, served_service
from tests.support.sqs_fault_proxy import sqs_fault_proxy


@pytest.mark.parametrize("fault", [{"status": 500}, {"reset": True}], ids=["500", "reset"])
async def test_a_task_whose_acceptance_was_lost_runs_once_and_its_notifications_are_equal(
    stage: ProcessorStage, fault: dict[str, Any]
) -> None:
    runs: list[str] = []

    async def echo(task: Task) -> str:
        runs.append(task.id)
        return f"{task.data} {len(runs)}"

    repeated = Counted("duplicate_deliveries_total")
    async with sqs_fault_proxy(stage.servers.aws.endpoint_url) as proxy, jwks_server() as jwks:
        own = {"TASK_QUEUE_URL": stage.queue_url, "AWS_ENDPOINT_URL": proxy.url}
        async with served_service(read_settings, create_app, stage.servers.aws, "local", jwks, own) as ingest:
            proxy.fault(action="SendMessageBatch", calls=1, after_effect=True, **fault)
            answer = await ingest.ask(
                "POST",
                "/task",
                json={"data": "x"},
                headers={"Authorization": f"Bearer {id_token('alice', now=time.time())}"},
            )
    assert (answer.status, await stage.depth()) == (202, (2, 0))
    async with stage.notifications("alice") as notifications, processor_in_process(stage, echo, CONCURRENCY="1"):
        await notifications.wait(2)
        await stage.until_empty()
    assert runs == [answer.json["taskId"]]
    assert notifications.received[0] == notifications.received[1]  # a client shows them once
    assert repeated() == 1
