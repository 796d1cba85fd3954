"""A stage's SQS queues: find, create, adopt, correct drift, delete."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from k8s.operator.resources.aws import aws_call
from k8s.operator.resources.drift import same_json
from k8s.operator.resources.errors import NotFoundError, ProtectedError, ResourceUnavailable
from k8s.operator.resources.queue_attributes import denies_deletion
from k8s.operator.resources.reconcile_log import ReconcileLog
from notification_api import PermanentError

if TYPE_CHECKING:
    from types_aiobotocore_sqs import SQSClient
    from types_aiobotocore_sqs.literals import QueueAttributeNameType

_JSON_ATTRIBUTES = {"RedrivePolicy", "RedriveAllowPolicy"}
_RETENTION = "MessageRetentionPeriod"
_VISIBLE_AFTER_SECONDS = 1.0  # SQS API reference, CreateQueue: wait a second before using a new queue


@dataclass(frozen=True)
class Queue:
    """A queue as SQS reports it."""

    url: str
    attributes: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def arn(self) -> str:
        return self.attributes["QueueArn"]

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"queue {self.name}"

    def drift(self, wanted: Mapping[str, str], *, keep_longer_retention: bool = False) -> dict[str, str]:
        """The wanted attributes that this queue does not have.

        :param keep_longer_retention: a shorter retention would delete messages.
        """
        missing = {name: value for name, value in wanted.items() if not self._has(name, value)}
        if keep_longer_retention and int(self.attributes.get(_RETENTION, "0")) > int(wanted[_RETENTION]):
            missing.pop(_RETENTION, None)
        return missing

    def _has(self, name: str, value: str) -> bool:
        actual = self.attributes.get(name, "")
        if name == "SqsManagedSseEnabled" and self.attributes.get("KmsMasterKeyId"):
            return True  # encrypted with a key that a person chose; SqsManagedSseEnabled would replace it
        return same_json(value, actual) if name in _JSON_ATTRIBUTES else value == actual


async def find_queue(sqs: "SQSClient", name: str) -> Queue | None:
    """The queue with this name, or None."""
    try:
        async with aws_call("sqs:GetQueueUrl", name):
            url = (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
        return await read_queue(sqs, url)
    except NotFoundError:
        return None


async def read_queue(sqs: "SQSClient", url: str) -> Queue:
    """:raises NotFoundError:"""
    return await read_given_queue(sqs, url, must_read_tags=True)


async def read_queue_tags(sqs: "SQSClient", url: str) -> Mapping[str, str]:
    """:raises NotFoundError:"""
    async with aws_call("sqs:ListQueueTags", url):
        return (await sqs.list_queue_tags(QueueUrl=url)).get("Tags", {})


async def read_given_queue(sqs: "SQSClient", url: str, *, must_read_tags: bool) -> Queue:
    """A given queue.

    :param must_read_tags: if False, the tags are empty where they may not be read, as in another account.
    :raises NotFoundError:
    """
    async with aws_call("sqs:GetQueueAttributes", url):
        answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    queue = Queue(url, cast("dict[str, str]", answer["Attributes"]), tags={})
    try:
        return replace(queue, tags=await read_queue_tags(sqs, url))
    except PermanentError:
        if must_read_tags:
            raise
        return queue


async def ensure_queue(
    sqs: "SQSClient", name: str, found: Queue | None, at_creation: Mapping[str, str], setting: str, log: ReconcileLog
) -> Queue:
    """The stage's queue: created if none was found, adopted if the spec says so.

    The attributes of an existing queue may still differ (`correct_queue_drift`).

    :param setting: see `NotOwnedError`.
    :raises NotOwnedError:
    """
    if found is None:
        return await _create(sqs, name, at_creation, log)
    if not log.must_tag(found.title, found.tags, setting):
        return found
    await tag_queue(sqs, found.url, log.identity.tags())
    adopted = replace(found, tags=await read_queue_tags(sqs, found.url))
    if log.identity.other_owner(adopted.tags):  # another Stage adopted it at the same time
        log.must_tag(found.title, adopted.tags, setting)
    if not log.identity.owns(adopted.tags):
        raise ResourceUnavailable(f"the tags of queue {name} are not visible yet", _VISIBLE_AFTER_SECONDS)
    log.changed(f"adopted queue {name}")
    return adopted


async def _create(sqs: "SQSClient", name: str, attributes: Mapping[str, str], log: ReconcileLog) -> Queue:
    tags = log.identity.tags()  # in the same call: after a crash, a queue without tags would belong to no stage
    async with aws_call("sqs:CreateQueue", name):
        url = (await sqs.create_queue(QueueName=name, Attributes=_typed(attributes), tags=tags))["QueueUrl"]
    log.changed(f"created queue {name}")
    try:
        created = await read_queue(sqs, url)
    except NotFoundError as error:
        raise ResourceUnavailable(f"queue {name} is being created", _VISIBLE_AFTER_SECONDS) from error
    if not log.identity.owns(created.tags):
        # Not visible yet, or CreateQueue returned a queue that somebody else created meanwhile: the next reconcile
        # reads its tags.
        raise ResourceUnavailable(f"the tags of queue {name} are not visible yet", _VISIBLE_AFTER_SECONDS)
    return created


def _typed(attributes: Mapping[str, str]) -> "dict[QueueAttributeNameType, str]":
    return cast("dict[QueueAttributeNameType, str]", dict(attributes))


async def correct_queue_drift(
    sqs: "SQSClient", queue: Queue, wanted: Mapping[str, str], log: ReconcileLog, *, keep_longer_retention: bool = False
) -> None:
    """Write the attributes that differ, if any."""
    drift = queue.drift(wanted, keep_longer_retention=keep_longer_retention)
    if not drift:
        return
    async with aws_call("sqs:SetQueueAttributes", queue.url):
        await sqs.set_queue_attributes(QueueUrl=queue.url, Attributes=_typed(drift))
    log.changed(f"set {', '.join(sorted(drift))} of queue {queue.name}")


async def tag_queue(sqs: "SQSClient", url: str, tags: Mapping[str, str]) -> None:
    async with aws_call("sqs:TagQueue", url):
        await sqs.tag_queue(QueueUrl=url, Tags=dict(tags))


async def untag_queue(sqs: "SQSClient", url: str, key: str) -> None:
    async with aws_call("sqs:UntagQueue", url):
        await sqs.untag_queue(QueueUrl=url, TagKeys=[key])


def check_queue_unprotected(queue: Queue) -> None:
    """:raises ProtectedError:"""
    if denies_deletion(queue.attributes.get("Policy", "")):
        raise ProtectedError(
            f"{queue.title} is protected against deletion (its policy denies sqs:DeleteQueue): to delete it with its "
            "messages, remove that statement"
        )


async def delete_queue(sqs: "SQSClient", queue: Queue, log: ReconcileLog) -> None:
    """Delete a queue if the stage owns it. A queue that no longer exists is no error.

    :raises ProtectedError:
    """
    try:
        current = await read_queue(sqs, queue.url)  # a person or another Stage may have changed it meanwhile
        check_queue_unprotected(current)
        if not log.identity.owns(current.tags):
            log.notice(f"{queue.title} does not belong to this stage and stays")
            return
        async with aws_call("sqs:DeleteQueue", queue.url):
            await sqs.delete_queue(QueueUrl=queue.url)
    except NotFoundError:
        return
    log.changed(f"deleted queue {queue.name}")
