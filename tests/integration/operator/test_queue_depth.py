"""The depth of a real queue: a message with a delay is no work before the delay has passed."""

from k8s.operator.scaling.queues import QueueDepth, read_depth
from services.common.aws.task_queue import OutgoingMessage, TaskQueue
from tests.support.aws_session import SESSION
from tests.support.processes.ministack import MiniStack, new_account_id
from tests.support.waiting import wait_until


async def test_a_delayed_message_is_no_backlog_before_its_delay_has_passed(aws: MiniStack) -> None:
    async with SESSION.create_client("sqs", **aws.client_settings(new_account_id())) as sqs:
        url = (await sqs.create_queue(QueueName="tasks"))["QueueUrl"]
        later = OutgoingMessage(body="later", attributes={}, group_id="alice", delay_seconds=1)
        await TaskQueue(sqs, url).send([later, OutgoingMessage(body="now", attributes={}, group_id="alice")])
        depth = await read_depth(sqs, url)
        assert depth == QueueDepth(visible=1, in_flight=0, delayed=1)
        assert QueueDepth(visible=0, in_flight=0, delayed=1).is_empty

        async def is_available() -> bool:
            return await read_depth(sqs, url) == QueueDepth(visible=2, in_flight=0)

        await wait_until(is_available)
