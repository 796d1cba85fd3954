"""What survives a restart: keys, disposable tokens and the names of caches, as with the real service.

Items and topics do not survive, so that tests can restart the emulator to lose them.
"""

import base64
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path


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
    """Read the state at `path`, or create it; raises `StateFileError`."""
    if path is None:
        return State()
    try:
        if not path.exists():
            state = State(path)
        else:
            content = json.loads(path.read_text())
            secret = base64.b64decode(content["secret"], validate=True)
            state = State(path, secret, set(content["keyIds"]), set(content["caches"]))
        state.save()
    except OSError as error:
        raise StateFileError(f"cannot use the state file {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StateFileError(f"{path} is not a state file of the emulator; remove it to create a new one") from error
    return state
