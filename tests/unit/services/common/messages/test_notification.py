"""The notification: it fits the topic, is cut between characters, says so, and is never empty."""

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.common.messages.notification import (
    CUT,
    MAX_BYTES,
    Format,
    Notification,
    Status,
    failed,
    finished,
    progress,
)

TASK_ID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"
TIME_MS = 1_767_225_600_000

any_text = st.text(st.characters(), max_size=300)  # every category, lone surrogates included
pieces = st.sampled_from(
    [
        "a",
        '"',
        "\\",
        "\n",
        "\x00",
        "ß",
        "é",
        "e\u0301",
        "한",
        "ก็",
        "👨‍👩‍👧‍👦",
        "👍🏽",
        "❤️",
        "🇩🇪",
        "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
        "\ud800",
        "\uffff",
    ]
)
long_texts = st.builds(lambda piece, count, end: piece * count + end, pieces, st.integers(0, 5_000), any_text)


def text_of(message: str) -> str:
    return Notification(task_id=TASK_ID, status=Status.FINISHED, message=message, time_ms=TIME_MS).encode(Format.TEXT)


def kept_of(message: str) -> str:
    """What is left of a message that is too long, without the mark of the cut."""
    text = text_of(message)
    assert text.endswith(CUT)
    return text.removesuffix(CUT)


@given(long_texts, st.sampled_from(Status))
@example("\x00" * 4_096, Status.FINISHED)
@example("\u0301" * 5_000, Status.FAILED)
def test_any_text_becomes_json_that_fits(message: str, status: Status) -> None:
    text = Notification(task_id=TASK_ID, status=status, message=message, time_ms=TIME_MS).encode(Format.JSON)
    assert len(text.encode()) <= MAX_BYTES
    fields = json.loads(text)
    assert list(fields) == ["taskId", "status", "message", "time"]
    assert (fields["taskId"], fields["status"], fields["time"]) == (TASK_ID, status.value, TIME_MS)


@given(long_texts)
def test_any_text_becomes_text_that_fits_and_is_not_empty(message: str) -> None:
    assert 0 < len(text_of(message).encode()) <= MAX_BYTES


@given(long_texts)
def test_a_message_is_whole_or_marked_as_cut(message: str) -> None:
    valid = message.encode("utf-8", "replace").decode()
    fields = json.loads(finished(TASK_ID, message, TIME_MS).encode(Format.JSON))
    whole = f"Finished task: {valid}"
    if fields["message"] != whole:
        assert fields["message"].endswith(CUT)
        assert whole.startswith(fields["message"].removesuffix(CUT))


@given(long_texts)
def test_a_cut_does_not_separate_a_mark_from_its_letter(message: str) -> None:
    valid = message.encode("utf-8", "replace").decode()
    text = text_of(message)
    if text not in (valid, Status.FINISHED.value):
        rest = valid[len(text.removesuffix(CUT)) :]
        assert not unicodedata.category(rest[0]).startswith("M") or text == CUT
        assert not text.removesuffix(CUT).endswith("\u200d")


@given(st.integers(0, 60), st.sampled_from(["x", "ß", "€", "👍"]))
def test_no_more_is_cut_than_needs_be(extra: int, character: str) -> None:
    width = len(character.encode())
    message = character * (MAX_BYTES // width + 1 + extra)
    assert MAX_BYTES - width < len(text_of(message).encode()) <= MAX_BYTES


@pytest.mark.parametrize(
    "character",
    [
        pytest.param("e\u0301\u0323", id="two combining marks"),
        pytest.param("👨‍👩‍👧‍👦", id="a family joined by ZWJ"),
        pytest.param("❤️", id="a variation selector"),
        pytest.param("👍🏽", id="a skin tone"),
        pytest.param("🇩🇪", id="a flag of two letters"),
        pytest.param("🏴󠁧󠁢󠁳󠁣󠁴󠁿", id="a flag of tags"),
        pytest.param("\u1112\u1161\u11ab", id="decomposed Hangul"),
        pytest.param("\u06cc\u200c", id="a zero width non-joiner"),
    ],
)
@pytest.mark.parametrize("shift", range(4))
def test_a_character_of_several_code_points_stays_whole(character: str, shift: int) -> None:
    kept = kept_of("." * shift + character * 3_000)[shift:]
    assert kept
    assert kept == character * (len(kept) // len(character))


@pytest.mark.parametrize("length", [MAX_BYTES - 1, MAX_BYTES])
def test_a_message_that_just_fits_is_not_cut(length: int) -> None:
    assert text_of("x" * length) == "x" * length


def test_one_byte_too_many_is_cut() -> None:
    assert kept_of("x" * (MAX_BYTES + 1)) == "x" * (MAX_BYTES - len(CUT.encode()))


def test_a_very_long_message_is_cut_as_well() -> None:
    assert len(text_of("\\" * 10_000_000).encode()) == MAX_BYTES


def test_lone_surrogates_become_question_marks() -> None:
    assert text_of("a\ud83db") == "a?b"


@pytest.mark.parametrize("status", Status)
def test_an_empty_message_is_not_sent_empty(status: Status) -> None:
    empty = Notification(task_id=TASK_ID, status=status, message="", time_ms=TIME_MS)
    assert empty.encode(Format.TEXT) == status.value


def test_the_wording_is_the_originals() -> None:
    assert finished(TASK_ID, "hello", TIME_MS).encode(Format.TEXT) == "Finished task: hello"
    assert failed(TASK_ID, "hello", TIME_MS).encode(Format.TEXT) == "Failed task: hello"
    assert progress(TASK_ID, "half", TIME_MS).encode(Format.TEXT) == "half"
    assert progress(TASK_ID, "", TIME_MS).encode(Format.TEXT) == "Working"


@given(long_texts)
def test_a_stored_notification_is_encoded_the_same_again(message: str) -> None:
    first = finished(TASK_ID, message, TIME_MS).encode(Format.JSON)
    fields = json.loads(first)
    again = Notification(task_id=TASK_ID, status=Status.FINISHED, message=fields["message"], time_ms=TIME_MS)
    assert again.encode(Format.JSON) == first
