"""The state that survives a restart of the stack: what is kept, and when it is forgotten.

`python -m local.kept_state` (`make clean-state`) forgets it. This needs only the standard library.
"""

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path

from local.errors import LocalError
from local.ports import ports_from
from local.supervisor.lock import hold_lock

FORMAT = 1
"""Raised when the files of an earlier version of the project cannot be used any more."""
EMULATOR_FILES = ("ministack", "momento.json", "momento.items")
"""What the emulators keep, in the folder of the stack's files: users, queues, parameters, keys and caches."""
_VERSION_FILE = "version"


def open_state(folder: Path) -> str:
    """Prepare the folder for a start, and return a sentence about what is kept of the last run; empty if none was.

    The state of another version is removed.
    """
    version_file, version = folder / _VERSION_FILE, f"{FORMAT}, ministack {metadata.version('ministack')}\n"
    exists = any((folder / name).exists() for name in EMULATOR_FILES)
    is_usable = version_file.is_file() and version_file.read_text(encoding="utf-8", errors="replace") == version
    if exists and not is_usable:
        _remove(folder)
    version_file.write_text(version, encoding="utf-8")
    if not exists:
        return ""
    if not is_usable:
        return "Forgotten, because another version of the project wrote it: users, tasks, history and keys."
    return "Kept from the last run: users, tasks, history and keys (make clean-state forgets them). Not kept: mails."


def _remove(folder: Path) -> None:
    for name in EMULATOR_FILES:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def main() -> int:
    """Remove the folder of the stack of LOCAL_PORT_BASE; refuse while the stack runs."""
    try:
        ports = ports_from(os.environ)
        folder = ports.state_folder(Path.cwd())
        if folder.exists():
            with hold_lock(folder / "lock", ports.base):
                shutil.rmtree(folder)
    except LocalError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    print(f"The stack on port {ports.base} keeps nothing now.")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
