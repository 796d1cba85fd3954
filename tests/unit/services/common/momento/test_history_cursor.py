"""The cursor: short and URL-safe, and whatever is none is refused."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.common.messages.notification import Notification, Status, failed, finished
from services.common.momento.history import MAX_ENTRIES, NEWEST
from services.common.momento.history_cursor import DIGEST_BYTES, MAX_CURSOR_CHARACTERS, Cursor, NotACursorError, digest

DIGESTS = st.frozensets(st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES), max_size=MAX_ENTRIES + NEWEST)


@given(DIGESTS)
def test_a_cursor_is_read_as_it_was_encoded(digests: frozenset[bytes]) -> None:
    text = str(Cursor(digests))
    assert Cursor.parse(text) == Cursor(digests)
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.~-]*", text)
    assert len(text) <= MAX_CURSOR_CHARACTERS


@pytest.mark.parametrize("text", ["", "0", "1767225600000", "9" * 15, "c2.", "c2.abc_-~.", "c10.x", str(Cursor())])
def test_an_epoch_time_and_another_versions_cursor_mean_from_the_beginning(text: str) -> None:
    assert Cursor.parse(text) == Cursor()


@pytest.mark.parametrize(
    "text",
    [
        *("c1", "c1.A", "c1.AAAAAAA", "c1.AAAAAAAAA", "c1.AAAA AAAA", "c1.AAAAAAA=", "c1.AAAAAAAA\n", "c1.ÄAAAAAAA"),
        *("c1.AAAA+AAA", "c1.AAAA/AAA", "C1.AAAAAAAA", "x", "now", "-1", "1.5", "1e3", "\u0661", "9" * 16, " 1", "c2"),
        *("c1." + "A" * 6_000, "c2." + "A" * 6_000, "0" * 40 + "1", "c1.AAAAAAAA\x00", "c2.\n", "c1.🦀"),
    ],
    ids=ascii,
)
def test_an_invalid_cursor_is_refused(text: str) -> None:
    with pytest.raises(NotACursorError):
        Cursor.parse(text)


@given(st.text(max_size=5_000))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    with contextlib.suppress(NotACursorError):
        Cursor.parse(text)


def test_every_part_of_a_notification_makes_another_entry() -> None:
    one = finished("t-1", "x", 1)
    others = [
        *(finished("t-2", "x", 1), failed("t-1", "x", 1), finished("t-1", "y", 1), finished("t-1", "x", 2)),
        Notification(task_id="t-1", status=Status.FAILED, message=one.message, time_ms=1),
    ]
    assert digest(one) == digest(finished("t-1", "x", 1))
    assert len({digest(each) for each in (one, *others)}) == 6
