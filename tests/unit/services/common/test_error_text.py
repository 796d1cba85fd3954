"""Errors of others are described within bounds, whatever they are."""

import contextlib
import traceback
from typing import Any, NoReturn

import pytest

from services.common.error_text import MAX_CHARACTERS, MAX_LEAVES, describe_error, describe_traceback, leaf_errors


def test_a_description_names_the_type_and_the_message() -> None:
    assert describe_error(ValueError("no number")) == "ValueError: no number"
    assert describe_error(ValueError()) == "ValueError"


def test_a_traceback_is_bounded_and_begins_with_the_error_itself() -> None:
    error: Exception = ValueError("innermost")
    for number in range(50):
        error, cause = ExceptionGroup(f"group {number} " + "x" * 5_000, [error]), error
        error.__cause__ = cause
    text = describe_traceback(error)
    assert "ExceptionGroup: group 49" in text
    assert len(text) == MAX_CHARACTERS


def test_causes_and_members_are_described_once_each() -> None:
    cause, member = ValueError("the cause"), KeyError("a member")
    error = ExceptionGroup("both", [member, cause])
    error.__cause__ = cause
    text = describe_traceback(error)
    assert [text.count(each) for each in ("the cause", "a member", "both")] == [1, 1, 1]


def hostile(*_: Any) -> NoReturn:
    raise RuntimeError("hostile")


class AttributesRaise(Exception):
    __getattribute__ = hostile


class OwnAttributesRaise(Exception):
    __cause__ = __context__ = __suppress_context__ = __traceback__ = property(hostile)


def raise_it(error: Exception, cause: Exception | None) -> NoReturn:
    raise error from cause


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    with contextlib.suppress(type(error)):
        raise_it(error, cause)
    return error


@pytest.mark.parametrize("kind", [AttributesRaise, OwnAttributesRaise])
def test_an_error_whose_attributes_raise_has_its_frames_and_its_cause(kind: type[Exception]) -> None:
    text = describe_traceback(raised(kind("why"), raised(ValueError("the cause"))))
    assert text.count("in raise_it") == 2
    assert f"{kind.__name__}: why" in text
    assert "ValueError: the cause" in text


def test_a_member_that_cannot_be_read_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    format_tb = traceback.format_tb

    def fail_once(*arguments: Any, **options: Any) -> list[str]:
        monkeypatch.setattr(traceback, "format_tb", format_tb)
        raise RuntimeError("hostile")

    monkeypatch.setattr(traceback, "format_tb", fail_once)
    text = describe_traceback(raised(ExceptionGroup("group", [raised(ValueError("a member"))])))
    assert text.count("in raise_it") == 1
    assert "ExceptionGroup: group" in text
    assert "ValueError: a member" in text


def test_the_leaves_of_a_group_are_found_at_any_depth() -> None:
    error: BaseException = ValueError("leaf")
    for _ in range(100):
        error = BaseExceptionGroup("nested", [error, KeyError()])
    assert sum(isinstance(each, ValueError) for each in leaf_errors(error)) == 1


def test_the_leaves_of_a_group_come_first_to_last_and_their_number_is_bounded() -> None:
    members = [ValueError() for _ in range(MAX_LEAVES + 5_000)]
    assert list(leaf_errors(ExceptionGroup("wide", members))) == members[: MAX_LEAVES - 1]


def test_a_leaf_or_group_that_is_shared_is_found_once() -> None:
    """Each level holds the one below twice, so that there are more ways to the leaf than can be gone."""
    error: Exception = ValueError("leaf")
    for _ in range(100):
        error = ExceptionGroup("nested", [error, error])
    assert [str(each) for each in leaf_errors(error)] == ["leaf"]
