"""What one reconcile of a stage may do and what it did."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from k8s.operator.resources.errors import NotOwnedError
from k8s.operator.resources.identity import Identity, ownership_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReconcileLog:
    """Passed to every function that writes. Can be read after a reconcile that failed half-way."""

    identity: Identity
    adopt: bool = False
    """Whether existing resources with the stage's names are adopted, as its spec says."""
    changes: list[str] = field(default_factory=list)
    """Every write, in order, as text for an Event or a log."""
    notices: list[str] = field(default_factory=list)
    """What a person should check although the reconcile succeeded."""

    def changed(self, what: str) -> None:
        logger.info(what, extra={"action": "stage-resource-changed"})
        self.changes.append(what)

    def notice(self, what: str) -> None:
        logger.warning(what, extra={"action": "stage-resource-notice"})
        self.notices.append(what)

    def must_tag(self, resource: str, tags: Mapping[str, str], setting: str) -> bool:
        """Whether an existing resource still needs the stage's ownership tags.

        :param setting: see `NotOwnedError`.
        :raises NotOwnedError: unless adopting, and always for a resource with another stage's ownership tags.
        """
        if self.identity.owns(tags):
            return False
        if owner := self.identity.other_owner(tags):
            raise NotOwnedError(resource, setting, f"{owner} (tags {ownership_text(tags)})")
        if not self.adopt:
            raise NotOwnedError(resource, setting)
        return True
