"""A stage's SQS queues: find, make, adopt, mend, remove."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from k8s.operator.resources.aws import aws_call
from k8s.operator.resources.diff import same_json
from k8s.operator.resources.errors import NotFound, Permanent, Protected, ResourceUnavailable
from k8s.operator.resources.queue_policy import denies_deletion
from k8s.operator.resources.reconcile_log import Pass

if TYPE_CHECKING:  # stubs, there in development only
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
        """As messages name it."""
        return f"queue {self.name}"

    def drift(self, wanted: Mapping[str, str], *, longer_retention: bool = False) -> dict[str, str]:
        """The wanted attributes that this queue does not have.

        :param longer_retention: leave a longer retention as it is: a shorter one would delete messages.
        """
        missing = {name: value for name, value in wanted.items() if not self._has(name, value)}
        if longer_retention and int(self.attributes.get(_RETENTION, "0")) > int(wanted[_RETENTION]):
            missing.pop(_RETENTION, None)
        return missing

    def _has(self, name: str, value: str) -> bool:
        actual = self.attributes.get(name, "")
        if name == "SqsManagedSseEnabled" and self.attributes.get("KmsMasterKeyId"):
            return True  # encrypted with a key that a person chose, which writing this would switch off
        return same_json(value, actual) if name in _JSON_ATTRIBUTES else value == actual


async def find_queue(sqs: "SQSClient", name: str) -> Queue | None:
    """The queue of this name, or None."""
    try:
        async with aws_call("sqs:GetQueueUrl", name):
            url = (await sqs.get_queue_url(QueueName=name))["QueueUrl"]
        return await read_queue(sqs, url)
    except NotFound:
        return None


async def read_queue(sqs: "SQSClient", url: str) -> Queue:
    """The queue at this address. Raises `NotFound`."""
    return await read_given_queue(sqs, url, must_read_tags=True)


async def read_queue_tags(sqs: "SQSClient", url: str) -> Mapping[str, str]:
    """Raises `NotFound`."""
    async with aws_call("sqs:ListQueueTags", url):
        return (await sqs.list_queue_tags(QueueUrl=url)).get("Tags", {})


async def read_given_queue(sqs: "SQSClient", url: str, *, must_read_tags: bool) -> Queue:
    """A given queue. Its tags are empty where they may not be read (as in another account) and need not be.

    Raises `NotFound`.
    """
    async with aws_call("sqs:GetQueueAttributes", url):
        answer = await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    queue = Queue(url, cast("dict[str, str]", answer["Attributes"]), tags={})
    try:
        return replace(queue, tags=await read_queue_tags(sqs, url))
    except Permanent:
        if must_read_tags:
            raise
        return queue


async def claim_queue(
    sqs: "SQSClient", name: str, found: Queue | None, at_creation: Mapping[str, str], give: str, one_pass: Pass
) -> Queue:
    """The queue of this name as ours: made where none was found, adopted if that was asked for.

    The settings of one that was there may still differ (`mend_queue`). Raises `NotOurs`.
    """
    if found is None:
        return await _create(sqs, name, at_creation, one_pass)
    if not one_pass.must_tag(found.title, found.tags, give):
        return found
    await tag_queue(sqs, found.url, one_pass.identity.tags())
    adopted = replace(found, tags=await read_queue_tags(sqs, found.url))
    if one_pass.identity.other_owner(adopted.tags):  # another Stage adopted it at the same moment
        one_pass.must_tag(found.title, adopted.tags, give)
    if not one_pass.identity.owns(adopted.tags):
        raise ResourceUnavailable(f"the tags of queue {name} are not visible yet", _VISIBLE_AFTER_SECONDS)
    one_pass.changed(f"adopted queue {name}")
    return adopted


async def _create(sqs: "SQSClient", name: str, attributes: Mapping[str, str], one_pass: Pass) -> Queue:
    tags = one_pass.identity.tags()  # in the same call: a queue without them would be nobody's after a crash
    async with aws_call("sqs:CreateQueue", name):
        url = (await sqs.create_queue(QueueName=name, Attributes=_typed(attributes), tags=tags))["QueueUrl"]
    one_pass.changed(f"created queue {name}")
    try:
        made = await read_queue(sqs, url)
    except NotFound as error:
        raise ResourceUnavailable(f"queue {name} is being created", _VISIBLE_AFTER_SECONDS) from error
    if not one_pass.identity.owns(made.tags):
        # Not readable yet, or CreateQueue answered with a queue that somebody made meanwhile: the next pass
        # sees which.
        raise ResourceUnavailable(f"the tags of queue {name} are not there yet", _VISIBLE_AFTER_SECONDS)
    return made


def _typed(attributes: Mapping[str, str]) -> "dict[QueueAttributeNameType, str]":
    return cast("dict[QueueAttributeNameType, str]", dict(attributes))


async def mend_queue(
    sqs: "SQSClient", queue: Queue, wanted: Mapping[str, str], one_pass: Pass, *, longer_retention: bool = False
) -> None:
    """Write those attributes that differ, if any; `longer_retention` as in `Queue.drift`."""
    drift = queue.drift(wanted, longer_retention=longer_retention)
    if not drift:
        return
    async with aws_call("sqs:SetQueueAttributes", queue.url):
        await sqs.set_queue_attributes(QueueUrl=queue.url, Attributes=_typed(drift))
    one_pass.changed(f"set {', '.join(sorted(drift))} of queue {queue.name}")


async def tag_queue(sqs: "SQSClient", url: str, tags: Mapping[str, str]) -> None:
    async with aws_call("sqs:TagQueue", url):
        await sqs.tag_queue(QueueUrl=url, Tags=dict(tags))


async def untag_queue(sqs: "SQSClient", url: str, key: str) -> None:
    async with aws_call("sqs:UntagQueue", url):
        await sqs.untag_queue(QueueUrl=url, TagKeys=[key])


def refuse_protected_queue(queue: Queue) -> None:
    """Raises `Protected`."""
    if denies_deletion(queue.attributes.get("Policy", "")):
        raise Protected(
            f"{queue.title} is protected against deletion (its policy denies sqs:DeleteQueue): to delete it with its "
            "messages, remove that statement"
        )


async def remove_queue(sqs: "SQSClient", queue: Queue, one_pass: Pass) -> None:
    """Delete a queue if it is ours; it may be gone already. Raises `Protected`."""
    try:
        now = await read_queue(sqs, queue.url)  # a person or another Stage may have changed it meanwhile
        refuse_protected_queue(now)
        if not one_pass.identity.owns(now.tags):
            one_pass.notice(f"{queue.title} does not belong to this stage and stays")
            return
        async with aws_call("sqs:DeleteQueue", queue.url):
            await sqs.delete_queue(QueueUrl=queue.url)
    except NotFound:
        return
    one_pass.changed(f"deleted queue {queue.name}")
