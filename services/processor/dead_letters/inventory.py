"""Which letters there are when a command begins: what it does later, it does to these, each known by its message id.

No clock says what was there at the beginning. A letter that comes back after it was redriven is another message.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from services.common.batcher import BATCH_ENTRIES
from services.common.errors import Transient
from services.processor.dead_letters.reader import Letter, Reader

MOST_BARREN = 20
"""Receives in a row that bring nothing that is looked for, after which a search is given up."""
_MOST_ARRIVALS = 5
"""Receives in a row that were not full, once as many letters were read as SQS counted: what they bring has only just
arrived."""
_GAVE_UP = "SQS went on giving messages that were seen already"


@dataclass(frozen=True, slots=True)
class Entry:
    """A letter without its body, and the failure that it is about."""

    letter: Letter
    failure: bytes


@dataclass(slots=True)
class Inventory:
    """The letters that were read, by message id, in the order in which they were read."""

    entries: dict[str, Entry] = field(default_factory=dict)
    cut_short: str | None = None
    """Why the reading ended early, if it did."""
    is_partial: bool = False
    """Whether the reading ended while SQS still gave letters: at the limit, or since they kept arriving."""

    @property
    def letters(self) -> list[Letter]:
        return [entry.letter for entry in self.entries.values()]

    def add(self, letters: Iterable[Letter]) -> list[Letter]:
        """Add letters; return those that were not known."""
        new = {letter.id: letter for letter in letters if letter.id not in self.entries}
        self.entries.update((name, Entry(letter.brief(), letter.failure())) for name, letter in new.items())
        return list(new.values())

    def named(self, ids: Collection[str]) -> set[str]:
        """Return the message ids of the letters that are meant by `ids`; those of all where there are no `ids`."""
        return {name for name, entry in self.entries.items() if not ids or entry.letter.is_named(ids)}

    def found(self, ids: Collection[str]) -> set[str]:
        """Return those of `ids` that mean a letter."""
        return set().union(*(letter.is_named(ids) for letter in self.letters)) if ids else set()

    def with_duplicates(self, names: Collection[str]) -> set[str]:
        """Return the message ids of these letters and of all letters of the same failures."""
        failures = {self.entries[name].failure for name in names}
        return {name for name, entry in self.entries.items() if entry.failure in failures}

    def duplicates(self) -> set[str]:
        """Return the message ids of all letters of a failure but the first."""
        first: dict[bytes, str] = {}
        return {name for name, entry in self.entries.items() if first.setdefault(entry.failure, name) != name}


async def take_inventory(
    reader: Reader,
    expected: int,
    limit: int,
    *,
    on_progress: Callable[[int], None] = lambda _: None,
    is_last: Callable[[Letter], bool] = lambda _: False,
) -> Inventory:
    """Read letters until SQS has no more to give, or `limit` are read; ends also where letters keep arriving.

    :param expected: about how many there are; at least so many are read if SQS gives them.
    :param is_last: tells of each letter, body included, whether nothing has to be read after it.
    :raises Transient: when SQS could not be asked and nothing was read yet; later, the inventory says so.
    """
    inventory = Inventory(is_partial=True)
    barren = arrivals = 0
    while (room := limit - len(inventory.entries)) > 0 and arrivals < _MOST_ARRIVALS:
        if not (received := await _receive(reader, min(BATCH_ENTRIES, room), inventory)):
            inventory.is_partial = False
            break
        new = inventory.add(received)
        on_progress(len(inventory.entries))
        if True in [is_last(letter) for letter in new]:
            break
        barren = 0 if new else barren + 1
        if barren == MOST_BARREN:
            inventory.cut_short = _GAVE_UP
            break
        has_all = len(inventory.entries) >= expected and len(received) < min(BATCH_ENTRIES, room)
        arrivals = arrivals + 1 if new and has_all else 0
    return inventory


async def _receive(reader: Reader, count: int, inventory: Inventory) -> list[Letter]:
    try:
        return await reader.receive(count)
    except Transient as error:
        if not inventory.entries:
            raise
        inventory.cut_short = str(error)
        return []
