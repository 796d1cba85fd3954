"""HANDLER_PATH: the folder of the developer's handler, whose changes restart the processor."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from local.errors import LocalError

DEBOUNCE_MILLISECONDS = 300
"""Changes within this time are one: an editor, or a checkout of another branch, writes several files."""


class InvalidHandlerPathError(LocalError):
    """HANDLER_PATH cannot be used."""


class WatchFailedError(LocalError):
    """A folder cannot be watched."""


def handler_path_from(environ: Mapping[str, str]) -> Path | None:
    """Read HANDLER_PATH, relative to the current folder; None if it is not set.

    :raises InvalidHandlerPathError: when it is no folder, or without the TASK_HANDLER that it is for.
    """
    raw = environ.get("HANDLER_PATH", "").strip()
    if not raw:
        return None
    path = Path(raw).resolve()
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise InvalidHandlerPathError(f"HANDLER_PATH={raw}: {path} {what}.")
    if path == Path(path.anchor):
        raise InvalidHandlerPathError("HANDLER_PATH must be the folder of your handler, not the whole disk.")
    if os.pathsep in str(path):
        raise InvalidHandlerPathError(
            f"HANDLER_PATH={raw}: Python cannot import from a folder with {os.pathsep!r}: {path}"
        )
    if not environ.get("TASK_HANDLER", "").strip():
        raise InvalidHandlerPathError(
            f"HANDLER_PATH needs TASK_HANDLER: TASK_HANDLER=<module>:<name> HANDLER_PATH={raw} make up"
        )
    return path


async def call_on_changes(folder: Path, action: Callable[[str], object]) -> None:
    """Call `action` with the name of a changed file, once for changes at the same time, until cancelled.

    Only Python files count, without those of `.venv`, `.git`, caches and the like. A handler that writes other files
    into its folder would otherwise restart itself for ever. With WATCHFILES_FORCE_POLLING=1 the folder is searched
    regularly, for file systems that report no changes, such as some mounts.

    :raises WatchFailedError: when the folder cannot be watched.
    """
    from watchfiles import PythonFilter, awatch  # loaded only where it is needed: the supervisor uses little memory

    try:
        async for changes in awatch(folder, watch_filter=PythonFilter(), debounce=DEBOUNCE_MILLISECONDS):
            action(Path(min(path for _, path in changes)).name)
    except (OSError, RuntimeError) as error:
        raise WatchFailedError(
            f"Changes in {folder} cannot be watched: {error}. WATCHFILES_FORCE_POLLING=1 make up searches for them."
        ) from error
