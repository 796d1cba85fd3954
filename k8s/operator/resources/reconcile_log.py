"""What one reconcile of a stage may do and what it did."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from k8s.operator.resources.errors import NotOurs
from k8s.operator.resources.identity import Identity, marks_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReconcileLog:
    """Passed to every function that writes. Stays readable when a reconcile fails half-way."""

    identity: Identity
    adopt: bool = False
    """As the stage's spec says, which sets it."""
    changes: list[str] = field(default_factory=list)
    """Every write made, in order, as sentences for an Event or a log."""
    notices: list[str] = field(default_factory=list)
    """What a person should look at although the reconcile succeeded."""

    def changed(self, what: str) -> None:
        logger.info(what, extra={"action": "stage-resource-changed"})
        self.changes.append(what)

    def notice(self, what: str) -> None:
        logger.warning(what, extra={"action": "stage-resource-notice"})
        self.notices.append(what)

    def must_tag(self, resource: str, tags: Mapping[str, str], give: str) -> bool:
        """Whether an existing resource still needs our tags put on it.

        Raises `NotOurs` unless adopting, and even then for what another stage has marked as its own.
        """
        if self.identity.owns(tags):
            return False
        if owner := self.identity.other_owner(tags):
            raise NotOurs(resource, give, f"{owner} (tags {marks_text(tags)})")
        if not self.adopt:
            raise NotOurs(resource, give)
        return True
