"""What becomes of what was made for a Stage when the Stage is deleted."""

import re
from typing import Literal

DeletionPolicy = Literal["Delete", "Retain"]

PRODUCTION_NAME = r"(?i)(^|[-_])(prod|production|prd|live|main)[0-9]*([-_]|$)"
"""charts/notification-api/templates/_uninstall.tpl has the same."""


def deletion_policy(given: str | None, stage_name: str) -> DeletionPolicy:
    """The one in force: the given one, else Retain for a name that looks like production, else Delete.

    A name looks like production if one of its words (between `-` or `_`, in any case, digits at the end ignored) is
    prod, production, prd, live or main.
    """
    if given:
        return "Retain" if given == "Retain" else "Delete"
    return "Retain" if re.search(PRODUCTION_NAME, stage_name) else "Delete"
