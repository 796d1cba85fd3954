"""Whose is what cannot carry tags: records kept as tags on this stage's own AWS resources.

A Momento cache and a Cognito client carry no tags, so nothing on them says who made them. Instead the stage
writes `made-<kind> = <name>` on resources that it owns (its queues, its user pool) **before** it makes the
thing, having just seen that there is none. A thing with such a record is ours, one without is not. What that means:

- killed between record and creation: the next pass makes the thing;
- killed after creation: the next pass finds record and thing and goes on;
- the record goes only after the thing is gone, and its carriers after that;
- a carrier deleted by hand loses nothing while another is left: every pass copies the record to all of them.

What bears a record of another Stage is never made, used or deleted (`other_owners.py`). Of two Stages that write a
record at the same moment, each reads the other's resources after it has written its own, so at least one of them
sees the other's record and withdraws its own.

One gap is left: somebody who writes no records makes a thing of the same name after we saw none and before our own
creation. Creation of a cache then answers "exists already", the record is withdrawn and the cache refused; only a
process killed in between takes it for its own. (A client's name is not unique: there the stage makes its own beside
the other, and both would go at the end.)
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from k8s.operator.resources.errors import NotOurs, Permanent
from k8s.operator.resources.other_owners import OtherOwners, record_key
from k8s.operator.resources.reconcile_log import ReconcileLog


@dataclass
class Carrier:
    """A resource of ours that can carry records: its tags as last read, and how to change them."""

    tags: Mapping[str, str]
    tag: Callable[[Mapping[str, str]], Awaitable[None]]
    untag: Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Thing:
    """What is recorded: its kind, the record's value, how messages name it, and the setting that gives it."""

    kind: str
    name: str
    title: str
    give: str


@dataclass(frozen=True)
class Ledger:
    """The records of one stage, on as many carriers as it owns, and what other Stages have marked.

    :param read_others: reads again what other Stages have marked.
    """

    carriers: list[Carrier] = field(default_factory=list)
    others: OtherOwners | None = None
    read_others: Callable[[], Awaitable[OtherOwners]] | None = None

    def has(self, kind: str, name: str) -> bool:
        """Whether any carrier says that this stage made (or is about to make) it."""
        return any(carrier.tags.get(record_key(kind)) == name for carrier in self.carriers)

    def other_owner(self, thing: Thing) -> str | None:
        """Which other Stage has recorded that it made this."""
        return self.others.that_recorded(thing.kind, thing.name) if self.others else None

    async def claim(self, thing: Thing, log: ReconcileLog, *, exists: bool) -> bool:
        """Record that this is ours, before it is made or used. Returns whether it was recorded before.

        Raises `NotOurs` for another Stage's, and for what exists unrecorded unless adopting; `Permanent` when there
        is no carrier.
        """
        other = self.other_owner(thing)
        if self.has(thing.kind, thing.name):
            if other and not exists:  # both recorded at the same moment: neither has made it yet
                await self._withdraw(thing, other)
            if other:
                log.notice(f"{thing.title} is recorded as ours, and also belongs to {other}: it will not be deleted")
            await self.put(thing.kind, thing.name)
            return True
        if exists and self.others:
            other = other or self.others.of_the_same_names()
        if other or (exists and not log.adopt):
            raise NotOurs(thing.title, thing.give, other)
        await self.put(thing.kind, thing.name)
        if self.read_others and (other := (await self.read_others()).that_recorded(thing.kind, thing.name)):
            await self._withdraw(thing, other)
        return False

    async def _withdraw(self, thing: Thing, other: str) -> NoReturn:
        await self.drop(thing.kind)
        raise NotOurs(thing.title, thing.give, other)

    async def put(self, kind: str, name: str) -> None:
        """Write the record to every carrier that lacks it. Raises `Permanent` when there is no carrier."""
        if not self.carriers:
            raise Permanent(
                f"{kind} {name} cannot be made: it carries no tags, and with queues and user pool all given "
                f"nothing could say whose it is. Give the {kind} too, or let the stage make a queue."
            )
        for carrier in self.carriers:
            if carrier.tags.get(record_key(kind)) != name:
                await carrier.tag({record_key(kind): name})
                carrier.tags = {**carrier.tags, record_key(kind): name}

    async def drop(self, kind: str) -> None:
        """Remove the record wherever it is."""
        for carrier in self.carriers:
            if record_key(kind) in carrier.tags:
                await carrier.untag(record_key(kind))
                carrier.tags = {key: value for key, value in carrier.tags.items() if key != record_key(kind)}
