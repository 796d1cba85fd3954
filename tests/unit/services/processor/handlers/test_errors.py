"""Which text of a failure its user may read."""

from typing import Any

import pytest

from notification_api import PermanentError, TransientError
from services.processor.handlers.errors import HandlerAborted, public_text


class PublicRaises(PermanentError):
    public = property(lambda _: 1 / 0)


class PublicIsNoText(PermanentError):
    public = 5  # type: ignore[assignment]


class HostileText(str):
    __slots__ = ()
    __str__ = __format__ = __getitem__ = lambda *_: 1 / 0  # type: ignore[assignment]


class ClaimsToBePermanent(Exception):
    __class__ = property(lambda _: PermanentError)
    public = "claimed"


def aborted(cause: BaseException) -> HandlerAborted:
    error = HandlerAborted()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermanentError("secret", public="The file is empty"), "The file is empty"),
        (PermanentError("secret"), None),
        (PermanentError("secret", public=""), None),
        (ValueError("secret"), None),
        (TransientError("secret"), None),
        (ClaimsToBePermanent("secret"), None),
        (PublicRaises(), None),
        (PublicIsNoText(), None),
        (PermanentError(public=HostileText("a text")), "a text"),
        (ExceptionGroup("secret", [ValueError(), PermanentError("secret", public="of a group")]), "of a group"),
        (ExceptionGroup("", [PermanentError("secret"), PermanentError(public="the second")]), "the second"),
        (ExceptionGroup("", [ExceptionGroup("", [PermanentError(public="nested")])]), "nested"),
        (aborted(BaseExceptionGroup("", [SystemExit(), PermanentError(public="beside an exit")])), "beside an exit"),
    ],
)
def test_the_public_text_of_a_permanent_error_is_found(error: Any, text: str | None) -> None:
    found = public_text(error)
    assert found == text
    assert type(found) in {str, type(None)}


def test_what_the_user_reads_can_be_encoded_and_published() -> None:
    """A file name that is no UTF-8 has lone surrogates (`os.fsdecode`)."""
    assert public_text(PermanentError("x", public="a\udce9.pdf is empty")) == "a?.pdf is empty"
    text = public_text(PermanentError("x", public="x" * 1_000_000))
    assert text is not None
    assert len(text) <= 4_096
