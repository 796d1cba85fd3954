"""Messages that are no tasks are dead-lettered with a reason, and do not affect other messages."""

import json
import string

import pytest

from notification_api import Task
from tests.support.processor.in_process import processor_in_process
from tests.support.processor.stage import ProcessorStage

USER = "user"


def task_body(payload: object, user_id: object = USER) -> str:
    return json.dumps({"userId": user_id, "payload": payload})


JUNK = {
    "no JSON": "hello",
    "an empty object": "{}",
    "a list": "[1, 2]",
    "a number": "42",
    "null": "null",
    "another producer's event": json.dumps({"Type": "Notification", "Message": "s3:TestEvent", "Records": []}),
    "no user": json.dumps({"payload": '{"data": "x"}'}),
    "a user that is no text": task_body('{"data": "x"}', user_id=5),
    "a user with a path": task_body('{"data": "x"}', user_id="../admin"),
    "an endless user": task_body('{"data": "x"}', user_id="u" * 5000),
    "nested without end": "[" * 20_000,
    "half an object": '{"userId": "user", "payload": ',
    "characters of all kinds": string.printable.replace("\x0b", "").replace("\x0c", "") + "👍🏽\u202e",
}
JUNK_OF_A_USER = {
    "an empty payload": task_body(""),
    "a payload that is null": task_body(None),
    "a payload that is an object": task_body({"data": "x"}),
    "a payload that is no object": task_body("[]"),
    "no data": task_body('{"other": 1}'),
    "data that is null": task_body('{"data": null}'),
}


async def echo(task: Task) -> str:
    return task.data


@pytest.fixture
async def poisoned(stage: ProcessorStage) -> ProcessorStage:
    for body in (*JUNK.values(), *JUNK_OF_A_USER.values()):
        await stage.send_raw(body)
    return stage


async def test_malformed_messages_are_dead_lettered_unchanged_and_affect_no_other(poisoned: ProcessorStage) -> None:
    async with (
        poisoned.notifications("neighbour") as notifications,
        processor_in_process(poisoned, echo, CONCURRENCY="5"),
    ):
        ids = [await poisoned.send("neighbour") for _ in range(10)]
        await notifications.wait(10)
        await poisoned.until_empty()
        letters = await poisoned.dead_letters(len(JUNK) + len(JUNK_OF_A_USER))
    assert sorted(notifications.statuses()) == sorted((one, "finished") for one in ids)
    assert {letter["body"] for letter in letters} == {*JUNK.values(), *JUNK_OF_A_USER.values()}
    assert {letter["deadLetterReason"] for letter in letters} == {"malformed"}
    assert all(letter["deadLetterDetail"] != "none" for letter in letters)


async def test_the_user_of_an_unreadable_task_is_notified_if_known(poisoned: ProcessorStage) -> None:
    async with poisoned.notifications(USER) as notifications, processor_in_process(poisoned, echo):
        await notifications.wait(len(JUNK_OF_A_USER))
        await poisoned.until_empty()
    assert {status for _, status in notifications.statuses()} == {"failed"}
    assert {one["message"] for one in notifications.received} == {"Failed task: it could not be read"}


async def test_a_redelivered_malformed_message_is_dead_lettered_once(stage: ProcessorStage) -> None:
    """The notification failed after the message was dead-lettered, so the message is redelivered."""
    down = [{"method": "Publish", "status": "UNAVAILABLE"}]
    async with stage.notifications(USER) as notifications, processor_in_process(stage, echo, NOTIFY_SECONDS="1"):
        with stage.servers.momento.changed(faults=down):
            await stage.send_raw(task_body(""))
            await stage.dead_letters(1)
        await notifications.wait(1)
        await stage.until_empty()
        assert sum(await stage.depth(stage.dead_letter_queue_url)) == 1


async def test_a_task_with_binary_attributes_succeeds(stage: ProcessorStage) -> None:
    async with stage.notifications(USER) as notifications, processor_in_process(stage, echo):
        await stage.send_raw(task_body('{"data": "x"}'), {"blob": b"\x00\xff", "taskId": b"\x00"})
        await notifications.wait(1)
        await stage.until_empty()
    assert notifications.statuses()[0][1] == "finished"


async def test_a_message_with_ten_attributes_is_dead_lettered_with_the_reason(stage: ProcessorStage) -> None:
    own = {f"attribute{number}": "x" for number in range(9)} | {"taskId": "the-id"}
    async with processor_in_process(stage, echo):
        await stage.send_raw("junk", own)
        (letter,) = await stage.dead_letters(1)
    assert letter["deadLetterReason"] == "malformed"
    assert letter["taskId"] == "the-id"


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_message_of_the_maximum_size_is_dead_lettered(stage: ProcessorStage) -> None:
    async with processor_in_process(stage, echo):
        await stage.send_raw("x" * 1_048_576)
        (letter,) = await stage.dead_letters(1)
        await stage.until_empty()
    assert letter["deadLetterReason"] == "malformed"
    assert letter["body"].startswith("xxx")


async def test_a_task_id_too_long_to_publish_is_replaced_by_the_message_id(stage: ProcessorStage) -> None:
    async with stage.notifications(USER) as notifications, processor_in_process(stage, echo):
        message_id = await stage.send_raw(task_body('{"data": "x"}'), {"taskId": "i" * 5000})
        await notifications.wait(1)
        await stage.until_empty()
    assert notifications.statuses() == [(message_id, "finished")]
