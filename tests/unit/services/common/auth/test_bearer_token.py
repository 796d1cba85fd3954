"""The id token is read from the Authorization header."""

import pytest
from multidict import CIMultiDict

from services.common.auth.bearer_token import id_token_of
from services.common.auth.id_token import InvalidIdToken, RefusalReason
from tests.support.identity import token

GOOD = token()


@pytest.mark.parametrize(
    "value",
    [f"Bearer {GOOD}", f"bearer {GOOD}", f"BEARER {GOOD}", f"Bearer   {GOOD}", f"  Bearer {GOOD} ", GOOD],
    ids=["Bearer", "small", "capitals", "more spaces", "spaces around", "raw"],
)
def test_the_token_is_found(value: str) -> None:
    assert id_token_of(CIMultiDict({"authorization": value})) == GOOD


@pytest.mark.parametrize("value", ["", " ", "Bearer", "bearer ", "BEARER\t"])
def test_a_header_without_a_token_counts_as_missing(value: str) -> None:
    with pytest.raises(InvalidIdToken) as refused:
        id_token_of(CIMultiDict({"Authorization": value}))
    assert refused.value.reason == RefusalReason.MISSING


def test_a_missing_header_is_refused_with_what_to_send() -> None:
    with pytest.raises(InvalidIdToken, match="Authorization: Bearer") as refused:
        id_token_of(CIMultiDict())
    assert refused.value.reason == RefusalReason.MISSING


@pytest.mark.parametrize(
    "value",
    [
        "Basic dXNlcjpwYXNz",
        f"Token {GOOD}",
        f"Bearer {GOOD} {GOOD}",
        f"Bearer Bearer {GOOD}",
        f"{GOOD}, {GOOD}",
        f"Bearer {GOOD}, Basic dXNlcjpwYXNz",
    ],
    ids=["basic", "another scheme", "two tokens", "Bearer twice", "a list", "a list of schemes"],
)
def test_anything_else_is_malformed(value: str) -> None:
    with pytest.raises(InvalidIdToken) as refused:
        id_token_of(CIMultiDict({"Authorization": value}))
    assert refused.value.reason == RefusalReason.MALFORMED


@pytest.mark.parametrize("second", [f"Bearer {GOOD}", GOOD, "", "Basic x"])
def test_two_headers_are_refused_even_if_they_agree(second: str) -> None:
    headers = CIMultiDict([("Authorization", f"Bearer {GOOD}"), ("authorization", second)])
    with pytest.raises(InvalidIdToken) as refused:
        id_token_of(headers)
    assert refused.value.reason == RefusalReason.MALFORMED
