"""The items of the caches in an SQLite file, so that they survive a restart, as with the real service."""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from local.momento.store.items import Dictionary, Value

logger = logging.getLogger(__name__)

FORMAT = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS items (cache TEXT, key BLOB, field BLOB, body BLOB, expires_at REAL);
CREATE INDEX IF NOT EXISTS items_by_key ON items (cache, key);
"""
"""A value is a row without a field, a dictionary a row for each field."""

Read = Callable[[str, bytes], Value | Dictionary | None]


class ItemFile:
    """Notes which items change, and writes them when `save` is called.

    A file that cannot be used, because it is damaged or of another version, is moved away and a new one begun. Losing
    the power of the machine may damage it, which is the price of saves that never wait for the disk.
    """

    def __init__(self, path: Path) -> None:
        self._changed: set[tuple[str, bytes]] = set()
        try:
            self._database = _open(path)
        except _UnusableFileError as error:
            logger.warning("%s cannot be used (%s): the items of the caches are forgotten", path, error)
            path.replace(f"{path}.unusable")
            Path(f"{path}-journal").unlink(missing_ok=True)  # it would be applied to the new file
            self._database = _open(path)

    def items(self, cache: str) -> Iterator[tuple[bytes, Value | Dictionary]]:
        """Yield the items of a cache with their keys."""
        rows = self._database.execute(
            "SELECT key, field, body, expires_at FROM items WHERE cache = ? ORDER BY rowid", (cache,)
        )
        dictionaries: dict[bytes, Dictionary] = {}
        for key, field, body, expires_at in rows:
            if field is None:
                yield key, Value(body, expires_at)
            else:
                dictionaries.setdefault(key, Dictionary(expires_at)).fields[field] = body
        yield from dictionaries.items()

    def note(self, cache: str, key: bytes) -> None:
        """Note that an item was set or removed."""
        self._changed.add((cache, key))

    def drop(self, cache: str) -> None:
        """Remove the items of a cache."""
        self._changed = {(each, key) for each, key in self._changed if each != cache}
        with self._database:
            self._database.execute("DELETE FROM items WHERE cache = ?", (cache,))

    def save(self, read: Read) -> None:
        """Write what was noted; after a failure, such as a full disk, all of it again next time.

        :param read: returns an item, or None if it was removed.
        """
        if not self._changed:
            return
        try:
            with self._database:
                self._database.executemany("DELETE FROM items WHERE cache = ? AND key = ?", self._changed)
                self._database.executemany("INSERT INTO items VALUES (?, ?, ?, ?, ?)", self._rows(read))
        except sqlite3.Error as error:
            logger.warning("the items of the caches cannot be saved: %s", error)
        else:
            self._changed.clear()

    def close(self) -> None:
        self._database.close()

    def _rows(self, read: Read) -> Iterator[tuple[str, bytes, bytes | None, bytes, float]]:
        for cache, key in self._changed:
            item = read(cache, key)
            if isinstance(item, Value):
                yield cache, key, None, item.body, item.expires_at
            elif item is not None:
                for field, body in item.fields.items():
                    yield cache, key, field, body, item.expires_at


class _UnusableFileError(Exception):
    """The file is damaged, no SQLite file, or of another version."""


def _open(path: Path) -> sqlite3.Connection:
    """Open the file, or create it for its owner alone."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    database = sqlite3.connect(path)
    try:
        _prepare(database)
    except sqlite3.OperationalError:  # the file system's fault, not the file's
        database.close()
        raise
    except (sqlite3.DatabaseError, _UnusableFileError) as error:
        database.close()
        raise _UnusableFileError(str(error)) from error
    return database


def _prepare(database: sqlite3.Connection) -> None:
    (problem,) = database.execute("PRAGMA quick_check(1)").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if problem != "ok":
        raise _UnusableFileError(problem)
    if version not in (0, FORMAT):
        raise _UnusableFileError(f"it has the format {version} of another version")
    # Killing the process loses no saved item without waiting for the disk: the operating system still writes it.
    database.executescript(f"PRAGMA synchronous = OFF; PRAGMA user_version = {FORMAT}; {_TABLE}")
