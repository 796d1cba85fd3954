"""Keys, disposable tokens and the names of caches, which survive a restart, as with the real service."""

import base64
import json
import logging
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

logger = logging.getLogger(__name__)


class StateFileError(Exception):
    """The state file cannot be used."""


@dataclass(slots=True)
class State:
    """The state; call `save` after each change. Without a path nothing is written."""

    path: Path | None = None
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key_ids: set[str] = field(default_factory=set)
    caches: set[str] = field(default_factory=set)

    def save(self) -> None:
        """Replace the file atomically. Only its owner can read it, since it has the signing secret."""
        if self.path is None:
            return
        content = {
            "secret": base64.b64encode(self.secret).decode(),
            "keyIds": sorted(self.key_ids),
            "caches": sorted(self.caches),
        }
        fresh = self.path.with_name(self.path.name + ".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file)
        fresh.replace(self.path)


def load_state(path: Path | None) -> State:
    """Read the state at `path`, or create it. A file that is no state, or a damaged one, is moved away.

    :raises StateFileError: when the file system does not permit it.
    """
    if path is None:
        return State()
    try:
        state = _read(path) if path.exists() else State(path)
        state.save()
    except OSError as error:
        raise StateFileError(f"cannot use the state file {path}: {error.strerror}") from error
    return state


def _read(path: Path) -> State:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        secret = base64.b64decode(content["secret"], validate=True)
        return State(path, secret, set(content["keyIds"]), set(content["caches"]))
    except (ValueError, KeyError, TypeError):
        logger.warning("%s is not a state file of the emulator: keys and caches are forgotten", path)
        path.replace(f"{path}.unusable")
        return State(path)
