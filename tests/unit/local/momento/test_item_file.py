"""The items that the Momento emulator keeps over a restart."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from local.momento.settings import Settings
from local.momento.store.caches import Caches
from local.momento.store.item_file import ItemFile
from local.momento.store.items import Items
from local.momento.store.persistence import State

CACHE = "cache"


def caches_of(item_file: ItemFile) -> Caches:
    return Caches(Settings(), State(caches={CACHE}), item_file)


def restarted(path: Path) -> Items:
    """The items of a new process."""
    with closing(ItemFile(path)) as item_file:
        return caches_of(item_file).get(CACHE).items


def test_values_and_dictionaries_survive(tmp_path: Path) -> None:
    path = tmp_path / "items"
    with closing(ItemFile(path)) as item_file:
        caches = caches_of(item_file)
        items = caches.get(CACHE).items
        items.set(b"value", b"\x00\xff", 60)
        items.set(b"empty", b"", 60)
        items.set_fields(b"dictionary", {b"a": b"1", b"b": b""}, 60, refresh_ttl=False)
        caches.save_items()
    after = restarted(path)
    assert (after.get(b"value"), after.get(b"empty")) == (b"\x00\xff", b"")
    assert after.dictionary(b"dictionary") == {b"a": b"1", b"b": b""}
    assert len(after) == 3


def test_what_was_changed_or_removed_after_a_save_is_saved_next_time(tmp_path: Path) -> None:
    path = tmp_path / "items"
    with closing(ItemFile(path)) as item_file:
        caches = caches_of(item_file)
        items = caches.get(CACHE).items
        for key in (b"changed", b"removed"):
            items.set(key, b"old", 60)
        items.set_fields(b"dictionary", {b"a": b"1", b"b": b"2"}, 60, refresh_ttl=False)
        caches.save_items()
        items.set(b"changed", b"new", 60)
        items.delete(b"removed")
        items.remove_fields(b"dictionary", [b"a"])
        caches.save_items()
    after = restarted(path)
    assert (after.get(b"changed"), after.get(b"removed")) == (b"new", None)
    assert after.dictionary(b"dictionary") == {b"b": b"2"}


def test_the_time_to_live_continues_while_nothing_runs(tmp_path: Path) -> None:
    path = tmp_path / "items"
    with closing(ItemFile(path)) as item_file:
        caches = caches_of(item_file)
        caches.get(CACHE).items.set(b"short", b"value", 0)
        caches.get(CACHE).items.set(b"long", b"value", 60)
        caches.save_items()
    after = restarted(path)
    assert (after.peek(b"short"), after.get(b"long")) == (None, b"value")


def test_a_deleted_cache_is_empty_when_it_is_created_again(tmp_path: Path) -> None:
    with closing(ItemFile(tmp_path / "items")) as item_file:
        caches = caches_of(item_file)
        caches.get(CACHE).items.set(b"saved", b"value", 60)
        caches.save_items()
        caches.get(CACHE).items.set(b"noted", b"value", 60)
        caches.delete(CACHE)
        caches.save_items()
        caches.create(CACHE)
        assert len(caches.get(CACHE).items) == 0


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + bytes(5000)])
def test_a_file_that_cannot_be_used_is_moved_away(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "items"
    path.write_bytes(content)
    assert len(restarted(path)) == 0
    assert (tmp_path / "items.unusable").read_bytes() == content
    assert "the items of the caches are forgotten" in caplog.text


def test_a_file_of_another_version_is_moved_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "items"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    assert len(restarted(path)) == 0
    assert "format 99 of another version" in caplog.text


def test_items_that_could_not_be_saved_are_saved_next_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "items"
    with closing(ItemFile(path)) as item_file:
        caches = caches_of(item_file)
        caches.get(CACHE).items.set(b"key", b"value", 60)
        item_file._database.execute("PRAGMA query_only = ON")
        caches.save_items()
        assert "cannot be saved" in caplog.text
        item_file._database.execute("PRAGMA query_only = OFF")
        caches.save_items()
    assert restarted(path).get(b"key") == b"value"


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    with closing(ItemFile(tmp_path / "items")):
        assert stat.S_IMODE((tmp_path / "items").stat().st_mode) == 0o600
