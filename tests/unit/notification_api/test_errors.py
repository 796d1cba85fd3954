"""Errors keep what they say, and only `public` is for the user."""

import copy
import pickle

from notification_api import PermanentError


class WithoutInit(PermanentError):
    def __init__(self) -> None: ...


def test_an_error_has_a_text_for_the_log_and_one_for_the_user() -> None:
    error = PermanentError("s3://bucket/key has no pages", public="The file is empty")
    assert (str(error), error.public) == ("s3://bucket/key has no pages", "The file is empty")


def test_without_a_public_text_there_is_none() -> None:
    assert PermanentError("a", 2).args == ("a", 2)
    assert PermanentError().public is None
    assert WithoutInit().public is None


def test_an_error_can_be_copied_and_sent_to_another_process() -> None:
    error = PermanentError("a", public="b")
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 — our own
        assert (other.args, other.public) == (("a",), "b")
