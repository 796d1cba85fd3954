"""The file of the developer's user, which one process uses at a time."""

from pathlib import Path

import pytest

from local import token


async def test_a_file_that_another_call_keeps_locked_is_not_awaited_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token, "LOCK_SECONDS", 0.05)
    async with token.locked(tmp_path / "developer.json"):
        with pytest.raises(TimeoutError):
            async with token.locked(tmp_path / "developer.json"):
                pass
    async with token.locked(tmp_path / "developer.json") as file:
        assert file.read() == ""
