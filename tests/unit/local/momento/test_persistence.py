"""The state that the Momento emulator keeps over a restart."""

from pathlib import Path

import pytest

from local.momento.store.persistence import State, StateFileError, load_state


def test_a_saved_state_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = load_state(path)
    state.key_ids.add("one")
    state.caches.add("a cache")
    state.save()
    assert load_state(path) == state


def test_a_new_state_is_written_at_once_with_its_own_secret(tmp_path: Path) -> None:
    first, second = load_state(tmp_path / "first"), load_state(tmp_path / "second")
    assert load_state(tmp_path / "first").secret == first.secret != second.secret


def test_a_save_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    load_state(tmp_path / "state").save()
    assert [each.name for each in tmp_path.iterdir()] == ["state"]


def test_without_a_path_nothing_is_written() -> None:
    state = load_state(None)
    state.save()
    assert state == State(secret=state.secret)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"secret": "%", "keyIds": [], "caches": []}'])
def test_a_file_that_is_not_a_state_is_moved_away(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state"
    path.write_text(text)
    state = load_state(path)
    assert (state.key_ids, state.caches) == (set(), set())
    assert (tmp_path / "state.unusable").read_text() == text
    assert "keys and caches are forgotten" in caplog.text


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StateFileError, match="cannot use"):
        load_state(tmp_path / "missing" / "state")
