"""The place in a topic after which a stream resumes. Pure."""

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Position:
    """Messages are numbered on a page of the topic. A topic that was reset starts with 1 on another page."""

    page: int = 0
    sequence: int = 0
    """The last number that was received or reported as missing; 0 before the first one."""
    received: int = 0
    """The last number that was received on this page."""

    @property
    def resume_at(self) -> int:
        """The number of the next message; 0: only messages from now on."""
        return self.sequence + 1 if self.sequence else 0

    def has(self, page: int, sequence: int) -> bool:
        """Whether the message was received: two streams overlap while one replaces the other."""
        return page == self.page and sequence <= self.received

    def after_item(self, page: int, sequence: int) -> Self:
        """Return the place after a message."""
        return replace(self, page=page, sequence=sequence, received=sequence)

    def after_discontinuity(self, page: int, sequence: int) -> Self:
        """Return the place after messages that are missing up to `sequence`; page 0 means the same page."""
        page = page or self.page
        return replace(self, page=page, sequence=sequence, received=self.received if page == self.page else 0)
