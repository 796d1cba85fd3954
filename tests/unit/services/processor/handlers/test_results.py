"""Results of handlers: text or `Result`, JSON, and no larger than can be stored."""

import dataclasses
import datetime
import enum
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from notification_api import Result
from notification_api.json_rules import MAX_RESULT_BYTES
from services.processor.handlers.errors import InvalidResultError, ResultTooLargeError
from services.processor.handlers.results import checked_result

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@given(st.text(), json_values)
def test_any_json_is_kept_as_it_is(message: str, data: Any) -> None:
    assert checked_result(Result(message, data)) == Result(message, data)


@given(st.text())
def test_a_text_is_a_message_without_data(text: str) -> None:
    assert checked_result(text) == Result(text)


def test_a_message_is_kept_whole() -> None:
    assert checked_result("x" * 500_000).message == "x" * 500_000


@pytest.mark.parametrize(("text", "stored"), [("\ud800", "?"), ("a\udfffb", "a?b"), ("😀", "😀"), ("", "")])
def test_lone_surrogates_which_no_encoding_has_are_replaced(text: str, stored: str) -> None:
    assert checked_result(text) == Result(stored)
    assert checked_result(Result(text, {"a": 1})) == Result(stored, {"a": 1})


def test_the_data_is_a_copy_since_the_handler_may_change_its_own() -> None:
    pages = ["one"]
    result = checked_result(Result("done", {"pages": pages}))
    pages.append("two")
    assert result.data == {"pages": ["one"]}


def test_tuples_are_lists() -> None:
    assert checked_result(Result("", (1, (2,)))).data == [1, [2]]


@dataclasses.dataclass
class Page:
    number: int


class Colour(enum.Enum):
    RED = "red"
    NONE = float("nan")


def cycle() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [
        *(float("nan"), float("inf"), -float("inf"), {"a": [1, float("nan")]}, (None, float("nan"))),
        *(Colour.NONE, {1, 2}, b"bytes", object(), datetime.datetime.now(datetime.UTC), Page(1), 1j),
        *({1: "a"}, {None: "a"}, {("a",): 1}, 2**64, -(2**63) - 1, "\ud800", {"\ud800": 1}),
        *(cycle(), nested(300)),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_that_is_not_json_is_refused(data: Any) -> None:
    with pytest.raises(InvalidResultError, match="the data of the handler's result is not JSON: "):
        checked_result(Result("done", data))


@pytest.mark.parametrize("data", [None, {"a": None}, [None, 1.5], "null", nested(200), Colour.RED])
def test_null_and_levels_are_fine(data: Any) -> None:
    checked_result(Result("done", data))


@pytest.mark.parametrize("value", [None, 1, b"a", ["a"], {"message": "a"}, object, Result])
def test_what_is_neither_text_nor_a_result_is_refused(value: object) -> None:
    with pytest.raises(InvalidResultError, match=r"the handler returned \w+, not text"):
        checked_result(value)


def test_a_result_without_a_text_is_refused() -> None:
    with pytest.raises(InvalidResultError, match="the message of the handler's result is int, not text"):
        checked_result(Result(5))  # type: ignore[arg-type]


def size_of(result: Result) -> int:
    return len(orjson.dumps({"message": result.message, "data": result.data}))


@pytest.mark.parametrize("character", ["x", "\0", '"', "ä", "😀"])
@pytest.mark.parametrize("in_data", [False, True])
def test_a_result_may_have_512_kib_as_json(character: str, in_data: bool) -> None:
    def made(length: int) -> Result:
        text = character * length
        return Result("", text) if in_data else Result(text)

    bytes_each = size_of(made(2)) - size_of(made(1))
    most = (MAX_RESULT_BYTES - size_of(made(1))) // bytes_each + 1
    assert size_of(checked_result(made(most))) <= MAX_RESULT_BYTES
    with pytest.raises(ResultTooLargeError):
        checked_result(made(most + 1))


@pytest.mark.parametrize("value", ["x" * 20_000_000, Result("x" * 600_000, 1), Result("", ["x"] * 200_000)])
def test_the_user_and_the_log_read_what_to_do_about_a_result_that_is_too_large(value: object) -> None:
    with pytest.raises(ResultTooLargeError, match=r"larger than 512 KiB as JSON: .+ return its URL") as refused:
        checked_result(value)
    assert refused.value.public == str(refused.value)


@given(json_values)
def test_what_is_accepted_is_the_same_json_for_every_reader(data: Any) -> None:
    stored = checked_result(Result("done", data)).data
    assert json.loads(json.dumps(stored)) == json.loads(orjson.dumps(stored)) == stored
