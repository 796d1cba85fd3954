"""Whose is what cannot carry tags: records kept as tags on this stage's own AWS resources.

A Momento cache and a Cognito client carry no tags, so nothing on them says who made them. Instead the stage
writes `made-<kind> = <name>` on resources that it owns (its queues, its user pool) **before** it makes the
thing, having just seen that there is none. A thing with such a record is ours, one without is not. What that means:

- killed between record and creation: the next pass makes the thing;
- killed after creation: the next pass finds record and thing and goes on;
- the record goes only after the thing is gone, and its carriers after that;
- a carrier deleted by hand loses nothing while another is left: every pass copies the record to all of them.

One gap is left, as small as it can be without tags: somebody else makes a thing of the same name after we saw
none and before our own creation. Creation of a cache then answers "exists already", the record is withdrawn and
the cache refused; only a process killed in between takes it for its own. (A client's name is not unique: there
the stage makes its own beside the other, and both would go at the end.)
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from k8s.operator.resources.errors import Permanent
from k8s.operator.resources.identity import TAG_PREFIX


@dataclass
class Carrier:
    """A resource of ours that can carry records: its tags as last read, and how to change them."""

    tags: Mapping[str, str]
    tag: Callable[[Mapping[str, str]], Awaitable[None]]
    untag: Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Ledger:
    """The records of one stage, on as many carriers as it owns."""

    carriers: list[Carrier] = field(default_factory=list)

    def has(self, kind: str, name: str) -> bool:
        """Whether any carrier says that this stage made (or is about to make) it."""
        return any(carrier.tags.get(_key(kind)) == name for carrier in self.carriers)

    async def put(self, kind: str, name: str) -> None:
        """Write the record to every carrier that lacks it. Raises `Permanent` when there is no carrier."""
        if not self.carriers:
            raise Permanent(
                f"{kind} {name} cannot be made: it carries no tags, and with queues and user pool all given "
                f"nothing could say whose it is. Give the {kind} too, or let the stage make a queue."
            )
        for carrier in self.carriers:
            if carrier.tags.get(_key(kind)) != name:
                await carrier.tag({_key(kind): name})
                carrier.tags = {**carrier.tags, _key(kind): name}

    async def drop(self, kind: str) -> None:
        """Remove the record wherever it is."""
        for carrier in self.carriers:
            if _key(kind) in carrier.tags:
                await carrier.untag(_key(kind))
                carrier.tags = {key: value for key, value in carrier.tags.items() if key != _key(kind)}


def _key(kind: str) -> str:
    return f"{TAG_PREFIX}/made-{kind}"
