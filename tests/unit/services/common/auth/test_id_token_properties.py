"""Rules for every token, not only for chosen examples."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.common.auth.id_token import IdTokenVerifier, InvalidIdToken
from services.common.auth.key_set import KeySet
from tests.support.identity import AUDIENCE, ISSUER, NOW, SUBJECT, claims, header, jwks_server, token

GOOD = token()
BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Asked:
    """A verifier for tests that are not asynchronous themselves, as hypothesis wants them."""

    def __init__(self, runner: asyncio.Runner, verifier: IdTokenVerifier) -> None:
        self._runner = runner
        self._verifier = verifier

    def accepts(self, text: str) -> bool:
        try:
            self._runner.run(self._verifier.verify(text))
        except InvalidIdToken:
            return False
        return True


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    with asyncio.Runner() as runner:
        server = jwks_server()
        running = runner.run(server.__aenter__())
        session = runner.run(_session())
        verifier = IdTokenVerifier(ISSUER, AUDIENCE, KeySet(running.url, session), clock=lambda: NOW)
        yield Asked(runner, verifier)
        runner.run(session.close())
        runner.run(server.__aexit__(None, None, None))


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


few = settings(max_examples=300, deadline=None)


@few
@given(position=st.integers(0, len(GOOD) - 1), letter=st.sampled_from(BASE64URL + ".=+/ \n\0é"))
def test_a_token_with_one_changed_character_is_never_accepted(asked: Asked, position: int, letter: str) -> None:
    changed = GOOD[:position] + letter + GOOD[position + 1 :]
    assert asked.accepts(changed) == (changed == GOOD)


@pytest.mark.parametrize("letter", BASE64URL)
def test_no_last_character_but_the_right_one_is_accepted(asked: Asked, letter: str) -> None:
    assert asked.accepts(GOOD[:-1] + letter) == (letter == GOOD[-1])


@few
@given(start=st.integers(0, len(GOOD)), length=st.integers(0, 40), insert=st.text(max_size=20))
def test_a_token_with_a_piece_cut_out_or_put_in_is_never_accepted(
    asked: Asked, start: int, length: int, insert: str
) -> None:
    changed = GOOD[:start] + insert + GOOD[start + length :]
    assert asked.accepts(changed) == (changed == GOOD)


@few
@given(text=st.text(max_size=300) | st.from_regex(r"[\w-]{0,60}\.[\w-]{0,60}\.[\w-]{0,60}"))
def test_unsigned_text_is_refused_and_never_breaks_the_verifier(asked: Asked, text: str) -> None:
    assert not asked.accepts(text)


@few
@given(name=st.sampled_from(["iss", "aud", "token_use", "exp"]), value=JSON)
def test_a_required_claim_of_any_other_value_is_refused(asked: Asked, name: str, value: Any) -> None:
    # hypothesis also tries the constants that it finds in this repository, so the right one may come up.
    assume(value != claims()[name])
    number = name == "exp" and not isinstance(value, bool) and isinstance(value, int | float)
    assume(not (number and NOW < value <= NOW + 86_405))
    assert not asked.accepts(token(payload=claims(**{name: value})))


@few
@given(value=JSON)
def test_a_subject_is_accepted_only_if_it_is_a_plain_name(asked: Asked, value: Any) -> None:
    plain = isinstance(value, str) and 0 < len(value) <= 128 and set(value) <= set(BASE64URL)
    assert asked.accepts(token(payload=claims(sub=value))) == plain


@few
@given(name=st.sampled_from(["alg", "kid"]), value=JSON)
def test_a_header_of_any_other_value_is_refused(asked: Asked, name: str, value: Any) -> None:
    assume(value != header()[name])
    assert not asked.accepts(token(header(**{name: value})))


@few
@given(fields=st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4))
def test_claims_that_we_do_not_know_change_nothing(asked: Asked, fields: dict[str, Any]) -> None:
    extra = {f"custom:{name}": value for name, value in fields.items()}
    assert asked.accepts(token(payload=claims(**extra, sub=SUBJECT)))
