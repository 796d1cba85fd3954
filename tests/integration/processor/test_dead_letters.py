"""The dead-letter command as an operator uses it, on a real queue server."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from notification_api import PermanentError, Task
from services.common.aws.task_queue import QueueUnavailable, TaskQueue
from services.processor.dead_letters.inventory import take_inventory
from services.processor.dead_letters.reader import open_reader
from services.processor.dead_letters.redrive import RateLimiter, Redrive, apply
from tests.support.processor.dead_letters_cli import (
    add_dead_letter,
    dead_letters_command,
    dead_letters_process,
    interrupted,
    waiting,
)
from tests.support.processor.in_process import processor_in_process
from tests.support.processor.stage import ProcessorStage
from tests.support.sqs_fault_proxy import sqs_fault_proxy
from tests.support.waiting import wait_until

BOTH_SIGNALS = pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])


async def test_list_counts_reasons_and_makes_all_messages_visible_again(stage: ProcessorStage) -> None:
    for number in range(12):
        await add_dead_letter(stage, f"task-{number}", "max_attempts" if number < 4 else "permanent")
    said = await dead_letters_command(stage, "list", "--json")
    assert said.status == 0, said.err
    assert said.json["reasons"] == {"permanent": 8, "max_attempts": 4}
    assert {one["taskId"] for one in said.json["messages"]} == {f"task-{number}" for number in range(12)}
    assert await waiting(stage) == (0, 12)


async def test_list_shows_the_task_type(stage: ProcessorStage) -> None:
    await add_dead_letter(stage, "task-0", type="report")
    await add_dead_letter(stage, "task-1")
    said = await dead_letters_command(stage, "list", "--json")
    assert {one["taskId"]: one["type"] for one in said.json["messages"]} == {"task-0": "report", "task-1": "default"}
    said = await dead_letters_command(stage, "list")
    assert said.out.split()[:4] == ["messageId", "taskId", "type", "reason"]
    assert " report " in said.out


async def test_list_reads_no_more_than_its_limit(stage: ProcessorStage) -> None:
    for number in range(5):
        await add_dead_letter(stage, f"task-{number}")
    said = await dead_letters_command(stage, "list", "--limit", "3")
    assert said.status == 0
    assert "These are 3 of about 5; --limit shows more." in said.out
    assert await waiting(stage) == (0, 5)


async def test_a_list_has_no_payload_and_no_control_characters(stage: ProcessorStage) -> None:
    await add_dead_letter(stage, "task", body="the payload", deadLetterDetail="red \u009b31m")
    said = await dead_letters_command(stage, "list")
    assert "the payload" not in said.out
    assert "\u009b" not in said.out
    assert "1  permanent" in said.out


async def test_an_empty_queue_is_reported_as_empty(stage: ProcessorStage) -> None:
    said = await dead_letters_command(stage, "list")
    assert (said.status, said.out) == (0, "The dead-letter queue is empty.\n")


@pytest.mark.parametrize("by", ["message", "task"])
async def test_show_prints_one_message(stage: ProcessorStage, by: str) -> None:
    await add_dead_letter(stage, "another")
    message_id = await add_dead_letter(stage, "wanted", body='{"the": "payload"}')
    said = await dead_letters_command(stage, "show", message_id if by == "message" else "wanted", "--json")
    assert said.status == 0, said.err
    assert said.json["messageId"] == message_id
    assert said.json["body"] == '{"the": "payload"}'
    assert said.json["attributes"]["deadLetterVersion"] == "0.1.0"
    assert await waiting(stage) == (0, 2)


async def test_show_reports_an_unknown_id(stage: ProcessorStage) -> None:
    await add_dead_letter(stage, "task")
    said = await dead_letters_command(stage, "show", "unknown")
    assert (said.status, said.out) == (3, "")
    assert said.err == "No message of the dead-letter queue has the id unknown.\n"


async def test_a_redriven_task_is_unchanged_and_marked(stage: ProcessorStage) -> None:
    message_id = await add_dead_letter(stage, "wanted", body="the body", idempotent="true", traceparent="00-1-2-00")
    await add_dead_letter(stage, "another")
    said = await dead_letters_command(stage, "redrive", "wanted", "--json")
    assert (said.status, said.json["done"], said.json["by"]) == (0, 1, "copy"), said.err
    assert await waiting(stage) == (1, 1)
    answer = await stage.sqs.receive_message(
        QueueUrl=stage.queue_url, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )
    (message,) = answer["Messages"]
    assert message["Body"] == "the body"
    assert message["Attributes"]["MessageGroupId"] == "user"
    assert {name: one["StringValue"] for name, one in message["MessageAttributes"].items()} == {
        "taskId": "wanted",
        "idempotent": "true",
        "traceparent": "00-1-2-00",
        "redriven": message_id,
    }


async def test_redrive_all_is_a_dry_run_without_yes(stage: ProcessorStage) -> None:
    for number in range(15):
        await add_dead_letter(stage, f"task-{number}")
    dry = await dead_letters_command(stage, "redrive", "--all")
    assert dry.status == 0
    assert "15 would be redriven.\nNothing was changed; --yes does it." in dry.out
    assert await waiting(stage) == (0, 15)
    wet = await dead_letters_command(stage, "redrive", "--all", "--yes", "--per-second", "0")
    assert wet.status == 0, wet.err
    assert "15 redriven." in wet.out
    assert "SQS does not move the queue" in wet.err
    assert await waiting(stage) == (15, 0)


async def test_missing_ids_are_reported_and_the_others_are_redriven(stage: ProcessorStage) -> None:
    await add_dead_letter(stage, "existing")
    said = await dead_letters_command(stage, "redrive", "existing", "missing", "--json")
    assert (said.status, said.json["done"], said.json["notFound"]) == (3, 1, ["missing"])
    assert await waiting(stage) == (1, 0)


async def test_purge_deletes_only_with_yes(stage: ProcessorStage) -> None:
    for name in ("first", "second", "third"):
        await add_dead_letter(stage, name)
    dry = await dead_letters_command(stage, "purge", "first", "--json")
    assert (dry.status, dry.json["dryRun"], dry.json["done"]) == (0, True, 1)
    assert await waiting(stage) == (0, 3)
    one = await dead_letters_command(stage, "purge", "first", "--yes", "--json")
    assert [message["taskId"] for message in one.json["messages"]] == ["first"]
    assert await waiting(stage) == (0, 2)
    rest = await dead_letters_command(stage, "purge", "--all", "--yes")
    assert "2 deleted." in rest.out
    assert await waiting(stage) == (0, 0)


async def test_nothing_is_deleted_when_the_task_queue_refuses_it(stage: ProcessorStage) -> None:
    await add_dead_letter(stage, "task")
    missing_url = f"{stage.queue_url}-missing"
    said = await dead_letters_command(stage, "redrive", "task", "--task-queue-url", missing_url)
    assert said.status == 1
    assert " failed: send: " in said.err
    assert "Traceback" not in said.err
    assert await waiting(stage) == (0, 1)


async def test_a_missing_queue_is_reported_in_a_sentence(stage: ProcessorStage) -> None:
    missing_url = f"{stage.dead_letter_queue_url}-missing"
    said = await dead_letters_command(stage, "list", DEAD_LETTER_QUEUE_URL=missing_url)
    assert said.status == 1
    assert said.err.startswith(f"The queue does not exist: check {missing_url}")
    assert said.err.count("\n") == 1


async def test_a_missing_server_is_reported_in_a_sentence(stage: ProcessorStage) -> None:
    said = await dead_letters_command(stage, "list", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert said.status == 1
    assert said.err.startswith("The queue cannot be used: ")
    assert said.err.count("\n") == 1


@BOTH_SIGNALS
async def test_an_interrupted_command_makes_its_messages_visible_again(
    stage: ProcessorStage, signal_number: signal.Signals
) -> None:
    for number in range(3):
        await add_dead_letter(stage, f"task-{number}")

    async def holds_them() -> bool:
        return (await stage.depth(stage.dead_letter_queue_url)) == (0, 3)

    # The message does not exist, so the command reads until the queue is empty, here for some seconds at least.
    async with sqs_fault_proxy(stage.servers.aws.endpoint_url) as proxy:
        proxy.fault(action="ReceiveMessage", delay_seconds=3)
        said = await interrupted(stage, holds_them, signal_number, "show", "unknown", AWS_ENDPOINT_URL=proxy.url)
    assert said.status == 130
    assert said.err == "Interrupted. The messages that were read are visible again.\n"
    assert await waiting(stage) == (0, 3)


@BOTH_SIGNALS
async def test_an_interrupted_redrive_reports_what_it_did(stage: ProcessorStage, signal_number: signal.Signals) -> None:
    for number in range(25):
        await add_dead_letter(stage, f"task-{number}")

    async def has_begun() -> bool:
        return (await stage.depth())[0] > 0

    options = ("redrive", "--all", "--yes", "--per-second", "1", "--json")
    said = await interrupted(stage, has_begun, signal_number, *options)
    assert said.status == 130
    assert said.err.endswith("Interrupted. The messages that were read are visible again.\n")
    assert (said.json["done"], said.json["failed"], said.json["cutShort"]) == (10, [], "it was interrupted")
    assert await waiting(stage) == (10, 15)


@pytest.mark.parametrize("idempotent", [False, True])
async def test_a_redriven_task_is_run_again_although_its_failure_is_in_the_history(
    stage: ProcessorStage, idempotent: bool
) -> None:
    broken = True

    async def handle(task: Task) -> str:
        if broken:
            raise PermanentError("broken")
        return task.data

    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user", "text", idempotent=idempotent)
        await notifications.wait(1)
        await stage.until_empty()
        broken = False
        said = await dead_letters_command(stage, "redrive", task_id, "--json")
        assert said.status == 0, said.err
        await notifications.wait(2)
        await stage.until_empty()
    assert notifications.statuses() == [(task_id, "failed"), (task_id, "finished")]
    assert json.loads(notifications.texts[1])["message"] == "Finished task: text"


class Undeletable(TaskQueue):
    """A queue whose deletions have no effect."""

    async def delete(self, receipt_handles: Sequence[str]) -> list[Exception | None]:
        return [QueueUnavailable("not now")] * len(receipt_handles)


async def test_a_task_that_was_redriven_twice_because_its_dead_letter_stayed_runs_once(stage: ProcessorStage) -> None:
    runs: list[bool] = []

    async def handle(task: Task) -> str:
        runs.append(broken)
        if broken:
            raise PermanentError("broken")
        return task.data

    broken = True
    async with stage.notifications("user") as notifications, processor_in_process(stage, handle):
        task_id = await stage.send("user", "text")
        await notifications.wait(1)
        await stage.until_empty()
        broken = False
        letters = Undeletable(stage.sqs, stage.dead_letter_queue_url)
        act = Redrive(TaskQueue(stage.sqs, stage.queue_url), letters)
        async with open_reader(letters) as reader:
            inventory = await take_inventory(reader, 1, 10)
        async with open_reader(letters) as reader:
            outcome = await apply(reader, inventory, inventory.named({task_id}), act, RateLimiter(0), lambda _: None)
        ((_, reason),) = outcome.failed
        assert reason == "it is in the task queue, but could not be deleted from the dead-letter queue: not now"
        await notifications.wait(2)
        said = await dead_letters_command(stage, "redrive", task_id, "--json")
        assert (said.status, said.json["done"]) == (0, 1), said.err
        await notifications.wait(3)
        await stage.until_empty()
    assert runs == [True, False]
    assert set(notifications.statuses()[1:]) == {(task_id, "finished")}


async def test_the_command_needs_only_two_options_and_aws(stage: ProcessorStage) -> None:
    await add_dead_letter(stage, "task")
    aws = {name: value for name, value in stage.environment().items() if name.startswith("AWS_")}
    options = ("--dead-letter-queue-url", stage.dead_letter_queue_url, "--task-queue-url", stage.queue_url)
    for command in (("list",), ("show", "task"), ("redrive", "task"), ("purge", "--all", "--yes")):
        said = await dead_letters_process(aws, *command, *options)
        assert said.status == 0, said.err
    assert await waiting(stage) == (1, 0)


async def test_of_several_duplicates_one_is_redriven_and_reported(stage: ProcessorStage) -> None:
    for _ in range(3):
        await add_dead_letter(stage, "task", deadLetterMessageId="delivery")
    await add_dead_letter(stage, "another")
    listed = await dead_letters_command(stage, "list", "--json")
    assert (len(listed.json["messages"]), listed.json["duplicates"]) == (4, 2)
    dry = await dead_letters_command(stage, "redrive", "--all")
    assert "2 would be redriven.\n2 duplicates of these would be deleted, not redriven.\n" in dry.out
    said = await dead_letters_command(stage, "redrive", "task", "--json")
    assert (said.status, said.json["done"], said.json["duplicates"]) == (0, 1, 2)
    assert await waiting(stage) == (1, 1)


@pytest.mark.parametrize("per_second", ["0", "20"])
async def test_a_task_that_fails_again_at_once_is_redriven_once(stage: ProcessorStage, per_second: str) -> None:
    """Also while other tasks continue to fail, and at a rate at which many fail during the command."""
    runs: Counter[str] = Counter()
    failed = asyncio.Event()

    async def handle(task: Task) -> str:
        runs[task.id] += 1
        failed.set()
        raise PermanentError("broken")

    async with processor_in_process(stage, handle):
        first = [await stage.send("user", "text") for _ in range(12)]
        await stage.until_empty()
        async with failing_meanwhile(stage, failed) as new:
            options = ("redrive", "--all", "--yes", "--per-second", per_second, "--json")
            said = await dead_letters_command(stage, *options)
            assert said.status == 0, said.err
        await stage.until_empty()
    assert new
    assert {runs[task_id] for task_id in first} == {2}
    assert max(runs[task_id] for task_id in new) <= 2
    assert {message["taskId"] for message in said.json["messages"]} >= set(first)
    assert await waiting(stage) == (0, len(first) + len(new))


@asynccontextmanager
async def failing_meanwhile(stage: ProcessorStage, failed: asyncio.Event) -> AsyncIterator[list[str]]:
    """Send another task that fails whenever one has failed."""
    new: list[str] = []
    ended = asyncio.Event()

    async def send() -> None:
        while not ended.is_set():
            failed.clear()
            new.append(await stage.send("user", "text"))
            await failed.wait()

    sending = asyncio.create_task(send())
    try:
        yield new
    finally:
        ended.set()
        failed.set()
        await sending


async def test_a_task_that_sqs_moves_again_is_redriven_once(stage: ProcessorStage) -> None:
    """Tasks whose processes die at once: SQS moves each at its second receive, with its message id and attributes."""
    arn = (await TaskQueue(stage.sqs, stage.dead_letter_queue_url).attributes("QueueArn"))["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "1"})
    await stage.sqs.set_queue_attributes(QueueUrl=stage.queue_url, Attributes={"RedrivePolicy": policy})
    received: Counter[str] = Counter()

    async def die() -> None:
        while True:
            answer = await stage.sqs.receive_message(
                QueueUrl=stage.queue_url,
                MaxNumberOfMessages=10,
                VisibilityTimeout=0,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
            )
            received.update(one["MessageAttributes"]["taskId"]["StringValue"] for one in answer.get("Messages", []))

    task_ids = [await stage.send("user") for _ in range(3)]
    dying = asyncio.create_task(die())
    try:

        async def all_moved() -> bool:
            return await waiting(stage) == (0, 3)

        await wait_until(all_moved)
        said = await dead_letters_command(stage, "redrive", "--all", "--yes", "--per-second", "0", "--json")
        assert (said.status, said.json["done"]) == (0, 3), said.err
        await wait_until(all_moved)
    finally:
        dying.cancel()
        await asyncio.wait({dying})
    assert received == dict.fromkeys(task_ids, 2)
