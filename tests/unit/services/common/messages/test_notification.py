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
    cancelled,
    failed,
    finished,
    progress,
)
from services.common.messages.task_details import TaskDetails, input_or_title

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
    is_cut = status is Status.FINISHED and fields["message"] != message.encode("utf-8", "replace").decode()
    assert list(fields) == ["taskId", "status", "message", "time", *(["truncated"] if is_cut else [])]
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
    again = Notification.from_fields(json.loads(first), default_task_id="")
    assert again.encode(Format.JSON) == first


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=40),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=8), values, max_size=4),
    max_leaves=40,
)


@given(long_texts, json_values, json_values)
def test_a_notification_with_details_survives_its_json_form(message: str, data: object, given_input: object) -> None:
    task_input, title = input_or_title(given_input)
    details = TaskDetails(
        type="report", input=task_input, title=title, attempt=2, max_attempts=5, started_at_ms=TIME_MS - 1
    )
    one = finished(TASK_ID, message, TIME_MS, details, data)
    text = one.encode(Format.JSON)
    assert len(text.encode()) <= MAX_BYTES
    read = Notification.from_fields(json.loads(text), default_task_id="")
    assert read.details == details
    assert read.truncated == (not one.fits())
    assert read.data == (data if one.fits() else None)
    assert read.encode(Format.JSON) == text


def test_data_that_does_not_fit_is_left_out_before_the_message_is_cut() -> None:
    one = finished(TASK_ID, "done", TIME_MS, data="x" * MAX_BYTES)
    assert json.loads(one.encode(Format.JSON)) == {
        "taskId": TASK_ID,
        "status": "finished",
        "message": "Finished task: done",
        "time": TIME_MS,
        "truncated": True,
    }
    assert not one.fits()


def test_only_a_finished_task_has_a_whole_result_elsewhere() -> None:
    assert "truncated" not in json.loads(failed(TASK_ID, "x" * MAX_BYTES, TIME_MS).encode(Format.JSON))


def test_the_user_reads_the_public_error_instead_of_the_data() -> None:
    fields = json.loads(
        failed(TASK_ID, "a.pdf", TIME_MS, error="It has no pages", reason="permanent").encode(Format.JSON)
    )
    assert fields["message"] == "Failed task: It has no pages"
    assert (fields["error"], fields["reason"]) == ("It has no pages", "permanent")


@pytest.mark.parametrize(
    ("data", "title"),
    [
        ("x" * 513, "x" * 120),
        (["x" * 510], '["' + "x" * 118),
        ("\ud800", "?"),
        (2**70, str(2**70)),
        ({"größe": "👍🏽" * 300}, '{"größe": "' + "👍🏽" * 54 + "👍"),
    ],
)
def test_long_data_is_represented_by_its_start(data: object, title: str) -> None:
    assert input_or_title(data) == (None, title)
    cancelled_one = cancelled(TASK_ID, TIME_MS, TaskDetails(title=title))
    assert json.loads(cancelled_one.encode(Format.JSON))["message"] == f"Cancelled task: {title}"


@pytest.mark.parametrize("data", ["x", "x" * 510, {"a": [1, None]}, 7, False])
def test_short_data_is_kept_whole(data: object) -> None:
    assert input_or_title(data) == (data, None)
