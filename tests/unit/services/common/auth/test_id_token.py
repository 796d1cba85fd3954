"""Which id tokens are accepted, and which user each identifies."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from services.common.auth.id_token import IdTokenVerifier, InvalidIdToken, RefusalReason, User
from services.common.auth.key_set import KeySet, KeySetUnavailable
from tests.support.clock import ManualClock
from tests.support.identity import (
    ABSENT,
    AUDIENCE,
    ISSUER,
    NOW,
    SUBJECT,
    JwksServer,
    claims,
    header,
    jwk,
    jwks_server,
    rsa_key,
    token,
)

DAY = 24 * 3600


@pytest.fixture
async def server() -> AsyncIterator[JwksServer]:
    async with jwks_server() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
async def verifier(server: JwksServer, clock: ManualClock) -> AsyncIterator[IdTokenVerifier]:
    async with aiohttp.ClientSession() as session:
        yield IdTokenVerifier(ISSUER, AUDIENCE, KeySet(server.url, session, clock=clock), clock=clock)


async def reason(verifier: IdTokenVerifier, text: str) -> RefusalReason:
    with pytest.raises(InvalidIdToken) as refused:
        await verifier.verify(text)
    return refused.value.reason


async def test_an_id_token_of_our_user_pool_and_client_is_accepted(verifier: IdTokenVerifier) -> None:
    assert await verifier.verify(token()) == User(sub=SUBJECT, expires_at=NOW + 3600)


@pytest.mark.parametrize("sub", ["a", "A-b_9", "x" * 128, SUBJECT])
async def test_subjects_that_are_fit_for_a_topic_name(verifier: IdTokenVerifier, sub: str) -> None:
    assert (await verifier.verify(token(payload=claims(sub=sub)))).sub == sub


@pytest.mark.parametrize(
    "times",
    [
        {"iat": ABSENT},
        {"iat": NOW + 5},
        {"nbf": NOW},
        {"nbf": NOW + 5},
        {"exp": NOW + 1},
        {"exp": NOW + 0.5},
        {"exp": NOW + DAY},
        {"exp": NOW + DAY + 5},
        {"iat": NOW - 0.25},
    ],
    ids=lambda times: str({name: "absent" if value is ABSENT else value for name, value in times.items()}),
)
async def test_times_within_their_bounds(verifier: IdTokenVerifier, times: dict[str, Any]) -> None:
    assert (await verifier.verify(token(payload=claims(**times)))).sub == SUBJECT


async def test_a_token_expires_to_the_second_without_leeway(verifier: IdTokenVerifier, clock: ManualClock) -> None:
    text = token(payload=claims(exp=NOW + 60))
    clock.advance(59.99)
    await verifier.verify(text)
    clock.advance(0.01)
    assert await reason(verifier, text) == RefusalReason.EXPIRED


async def test_a_token_signed_with_a_rotated_key_is_accepted_at_once(
    verifier: IdTokenVerifier, server: JwksServer, clock: ManualClock
) -> None:
    await verifier.verify(token())
    server.keys = [jwk("second", rsa_key("second"))]
    clock.advance(10)
    user = await verifier.verify(token(header(kid="second"), key=rsa_key("second")))
    assert user.sub == SUBJECT
    assert await reason(verifier, token()) == RefusalReason.KEY


async def test_no_token_is_judged_while_the_key_set_cannot_be_read(
    verifier: IdTokenVerifier, server: JwksServer
) -> None:
    server.fail()
    with pytest.raises(KeySetUnavailable):
        await verifier.verify(token())


async def test_known_keys_still_verify_while_the_key_set_cannot_be_read(
    verifier: IdTokenVerifier, server: JwksServer, clock: ManualClock
) -> None:
    await verifier.verify(token())
    server.fail()
    clock.advance(60)
    await verifier.verify(token())


async def test_forged_key_ids_cost_one_fetch_and_no_more(verifier: IdTokenVerifier, server: JwksServer) -> None:
    for number in range(30):
        assert await reason(verifier, token(header(kid=f"forged-{number}"))) == RefusalReason.KEY
    assert server.requests == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        token() + "=",
        token(header(alg="none")),
        token(header(crit=["exp"], kid="unknown")),
        token(header(b64=True, kid="unknown")),
        token(header(kid=ABSENT)),
        token(header(kid="")),
        token(header(kid="k" * 129)),
        token(header(kid="unknown\n")),
    ],
    ids=["empty", "junk", "padding", "alg", "crit", "b64", "no kid", "empty kid", "long kid", "newline in kid"],
)
async def test_a_token_that_is_refused_for_its_shape_never_reaches_the_key_set(
    verifier: IdTokenVerifier, server: JwksServer, text: str
) -> None:
    await reason(verifier, text)
    assert server.requests == 0


@pytest.mark.parametrize("why", RefusalReason)
def test_every_refusal_says_what_to_do_in_a_sentence(why: RefusalReason) -> None:
    text = str(InvalidIdToken(why))
    assert any(word in text for word in ("Send", "Sign in", "sign in"))
    assert text.endswith(".")
    assert InvalidIdToken(why).reason.value == why


async def test_a_refusal_does_not_quote_the_token(verifier: IdTokenVerifier) -> None:
    text = token(payload=claims(aud="another-client"))
    with pytest.raises(InvalidIdToken) as refused:
        await verifier.verify(text)
    text_of_error = str(refused.value) + repr(refused.value)
    assert not any(part in text_of_error for part in (*text.split("."), SUBJECT, "another-client"))
