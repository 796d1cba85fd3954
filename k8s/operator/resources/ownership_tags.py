"""Ownership of what cannot have tags: a Momento cache, and a Cognito client in a given pool ("untaggable").

Before the stage creates one, having just seen that none exists, it writes the tag `made-<kind> = <name>` on the
resources that it owns (its queues and user pool). It owns exactly what it finds such a tag for:

- Killed between tag and creation: the next reconcile creates it.
- Killed after the creation: the next reconcile finds it with its tag, and continues.
- At deletion the untaggable resource goes first, then its tag, then the tagged resources.
- One tagged resource is enough: if a person deletes another one, the next reconcile copies the tag to its successor.

What another Stage has tagged is never created, used or deleted. If two Stages write a tag at the same time, each then
reads the other's resources, so at least one of them sees the other's tag and removes its own.

One gap remains: somebody who writes no tags creates a cache with the same name after the stage saw none and before the
stage creates its own. Momento then answers "exists already", and the stage removes its tag and refuses the cache. Only
if the process is killed before that, the stage takes the cache for its own. (Clients with the same name can coexist:
the stage creates its own beside the other, and would delete both at the end.)
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

from k8s.operator.resources.clients import Clients
from k8s.operator.resources.errors import NotOwnedError
from k8s.operator.resources.identity import TAG_PREFIX, Identity, ownership_text
from k8s.operator.resources.queue import Queue, tag_queue, untag_queue
from k8s.operator.resources.reconcile_log import ReconcileLog
from k8s.operator.resources.spec import StageSpec
from k8s.operator.resources.user_pool import UserPool, tag_user_pool, untag_user_pool
from notification_api import PermanentError

CACHE_KIND, CLIENT_KIND = "cache", "client"


def ownership_tag(kind: str) -> str:
    """The tag's key. Its value is the cache's name, or the id of the client's pool."""
    return f"{TAG_PREFIX}/made-{kind}"


@dataclass(frozen=True)
class UntaggableResource:
    """A cache or a client. `name` is the value of its ownership tag, `title` its name in messages.

    :param setting: see `NotOwnedError`.
    """

    kind: str
    name: str
    title: str
    setting: str


@dataclass
class TaggedResource:
    """A resource that the stage owns: its tags as last read, and how to change them."""

    tags: Mapping[str, str]
    tag: Callable[[Mapping[str, str]], Awaitable[None]]
    untag: Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class OtherOwners:
    """The resources that the stage uses, or whose names it derives, and that have another Stage's ownership tags.

    Given resources are among them.
    """

    identity: Identity
    resources: Sequence[Queue | UserPool]

    def owner_of(self, untaggable: UntaggableResource) -> str | None:
        """Which other Stage's tags say that it created this. None if no resource has such a tag.

        A client in a Stage's own pool needs no tag. Stages with other names have clients with other names.
        """
        for resource in self.resources:
            is_tagged = resource.tags.get(ownership_tag(untaggable.kind)) == untaggable.name
            if untaggable.kind == CLIENT_KIND:
                is_in_it = isinstance(resource, UserPool) and resource.pool_id == untaggable.name
                is_tagged = (is_tagged or is_in_it) and self.identity.may_share_names_with(resource.tags)
            if is_tagged:
                return self._owner(resource)
        return None

    def with_the_same_names(self) -> str | None:
        """Which other Stage derives the same names. A cache or client without a tag may be that Stage's."""
        return next(
            (self._owner(each) for each in self.resources if self.identity.may_share_names_with(each.tags)), None
        )

    def _owner(self, resource: Queue | UserPool) -> str:
        owner, tags = self.identity.other_owner(resource.tags), ownership_text(resource.tags)
        return f"{owner} (tags of {resource.title}: {tags})"


def other_owners(identity: Identity, resources: Sequence[Queue | UserPool | None]) -> OtherOwners:
    """Select the resources with another Stage's ownership tags."""
    return OtherOwners(identity, [each for each in resources if each and identity.other_owner(each.tags)])


@dataclass(frozen=True)
class OwnershipTags:
    """The tags for one stage's untaggable resources, on every resource that the stage owns.

    :param read_others: reads again which resources have another Stage's tags.
    """

    resources: list[TaggedResource] = field(default_factory=list)
    others: OtherOwners | None = None
    read_others: Callable[[], Awaitable[OtherOwners]] | None = None

    def has(self, untaggable: UntaggableResource) -> bool:
        """Whether a tag says that this stage created, or is about to create, this."""
        return any(each.tags.get(ownership_tag(untaggable.kind)) == untaggable.name for each in self.resources)

    def other_owner(self, untaggable: UntaggableResource) -> str | None:
        """Which other Stage's tags say that it created this."""
        return self.others.owner_of(untaggable) if self.others else None

    async def claim(self, untaggable: UntaggableResource, log: ReconcileLog, *, exists: bool) -> bool:
        """Write the tag before the resource is created or used. Returns whether it was tagged before.

        :raises NotOwnedError: if another Stage owns it, or if it exists without a tag and is not adopted.
        :raises PermanentError: if the stage owns no resource to tag.
        """
        other = self.other_owner(untaggable)
        if self.has(untaggable):
            if other and not exists:  # both wrote a tag at the same time, and neither has created it
                await self._give_up(untaggable, other)
            if other:
                log.notice(
                    f"{untaggable.title} is tagged as this stage's and also belongs to {other}: it will not be deleted"
                )
            await self._write(untaggable)
            return True
        if exists and self.others:
            other = other or self.others.with_the_same_names()
        if other or (exists and not log.adopt):
            raise NotOwnedError(untaggable.title, untaggable.setting, other)
        await self._write(untaggable)
        if self.read_others and (other := (await self.read_others()).owner_of(untaggable)):
            await self._give_up(untaggable, other)
        return False

    async def _give_up(self, untaggable: UntaggableResource, other: str) -> NoReturn:
        await self.remove(untaggable.kind)
        raise NotOwnedError(untaggable.title, untaggable.setting, other)

    async def _write(self, untaggable: UntaggableResource) -> None:
        if not self.resources:
            raise PermanentError(
                f"{untaggable.kind} {untaggable.name} cannot be created: it cannot have tags, and as queues and user "
                f"pool are all given, nothing could say who owns it. Give the {untaggable.kind} too, or let the stage "
                "create a queue."
            )
        key = ownership_tag(untaggable.kind)
        for resource in self.resources:
            if resource.tags.get(key) != untaggable.name:
                await resource.tag({key: untaggable.name})
                resource.tags = {**resource.tags, key: untaggable.name}

    async def remove(self, kind: str) -> None:
        """Remove the tag from every resource."""
        key = ownership_tag(kind)
        for resource in self.resources:
            if key in resource.tags:
                await resource.untag(key)
                resource.tags = {name: value for name, value in resource.tags.items() if name != key}


def ownership_tags(
    clients: Clients, spec: StageSpec, queues: Sequence[Queue | None], pools: Sequence[UserPool], others: OtherOwners
) -> OwnershipTags:
    """Ownership tags on those of these resources that the stage owns. Given resources are never changed."""
    given = {spec.given.queue_url, spec.given.dead_letter_queue_url}
    resources = [
        TaggedResource(
            queue.tags,
            partial(tag_queue, clients.sqs, queue.url),
            partial(untag_queue, clients.sqs, queue.url),
        )
        for queue in queues
        if queue and queue.url not in given and spec.identity.owns(queue.tags)
    ]
    resources += [
        TaggedResource(
            pool.tags,
            partial(tag_user_pool, clients.idp, pool.arn),
            partial(untag_user_pool, clients.idp, pool.arn),
        )
        for pool in pools
        if pool.pool_id != spec.given.user_pool_id and spec.identity.owns(pool.tags)
    ]
    return OwnershipTags(resources, others)
