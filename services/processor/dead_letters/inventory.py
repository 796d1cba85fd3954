"""The inventory: the dead letters that exist when a command starts, by message id. Others are not changed.

Clocks are not compared. A task that is dead-lettered again after its redrive is another message.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from notification_api import TransientError
from services.common.batcher import BATCH_ENTRIES
from services.processor.dead_letters.reader import DeadLetter, Reader

MAX_FRUITLESS_RECEIVES = 20
"""Successive receives without a wanted message, after which a search ends."""
_MAX_PARTIAL_RECEIVES = 5
"""Successive receives that are not full, once all counted messages were read. These have just arrived."""
_ONLY_KNOWN = "SQS kept returning messages that were already read"


@dataclass(frozen=True, slots=True)
class Entry:
    """A dead letter without its payload, and the key of its failure."""

    dead_letter: DeadLetter
    failure: bytes


@dataclass(slots=True)
class Inventory:
    """The dead letters that were read, by message id, in the order of reading."""

    entries: dict[str, Entry] = field(default_factory=dict)
    cut_short: str | None = None
    """Why reading ended early, if it did."""
    is_partial: bool = False
    """Whether reading ended while SQS still returned messages: at the limit, or because they kept arriving."""

    @property
    def dead_letters(self) -> list[DeadLetter]:
        return [entry.dead_letter for entry in self.entries.values()]

    def add(self, dead_letters: Iterable[DeadLetter]) -> list[DeadLetter]:
        """Add dead letters; return the new ones."""
        new = {dead_letter.id: dead_letter for dead_letter in dead_letters if dead_letter.id not in self.entries}
        self.entries.update(
            (name, Entry(dead_letter.without_payload(), dead_letter.failure_key())) for name, dead_letter in new.items()
        )
        return list(new.values())

    def named(self, ids: Collection[str]) -> set[str]:
        """Return the message ids of the dead letters that match `ids`; of all if there are no `ids`."""
        return {name for name, entry in self.entries.items() if not ids or entry.dead_letter.matching_ids(ids)}

    def found(self, ids: Collection[str]) -> set[str]:
        """Return those of `ids` that match a dead letter."""
        return set().union(*(dead_letter.matching_ids(ids) for dead_letter in self.dead_letters)) if ids else set()

    def with_duplicates(self, names: Collection[str]) -> set[str]:
        """Return these message ids and those of all dead letters of the same failures."""
        failures = {self.entries[name].failure for name in names}
        return {name for name, entry in self.entries.items() if entry.failure in failures}

    def duplicates(self) -> set[str]:
        """Return the message ids of all dead letters of a failure except the first."""
        first: dict[bytes, str] = {}
        return {name for name, entry in self.entries.items() if first.setdefault(entry.failure, name) != name}


async def take_inventory(
    reader: Reader,
    expected: int,
    limit: int,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
    is_last: Callable[[DeadLetter], bool] = lambda _: False,
) -> Inventory:
    """Read dead letters until SQS returns no more, `limit` are read, or only new arrivals are returned.

    :param expected: about how many there are; at least as many are read if SQS returns them.
    :param is_last: returns whether reading may end after this dead letter.
    :raises TransientError: when the first receive failed; a later failure is in the inventory.
    """
    inventory = Inventory(is_partial=True)
    fruitless = partial = 0
    while (room := limit - len(inventory.entries)) > 0 and partial < _MAX_PARTIAL_RECEIVES:
        if not (received := await _receive(reader, min(BATCH_ENTRIES, room), inventory)):
            inventory.is_partial = False
            break
        new = inventory.add(received)
        on_progress(len(inventory.entries))
        if True in [is_last(dead_letter) for dead_letter in new]:
            break
        fruitless = 0 if new else fruitless + 1
        if fruitless == MAX_FRUITLESS_RECEIVES:
            inventory.cut_short = _ONLY_KNOWN
            break
        has_all = len(inventory.entries) >= expected and len(received) < min(BATCH_ENTRIES, room)
        partial = partial + 1 if new and has_all else 0
    return inventory


async def _receive(reader: Reader, count: int, inventory: Inventory) -> list[DeadLetter]:
    try:
        return await reader.receive(count)
    except TransientError as error:
        if not inventory.entries:
            raise
        inventory.cut_short = str(error)
        return []
