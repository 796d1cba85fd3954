"""A token that was verified is not verified again, and nothing else changes by that."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
import pytest

from services.common.auth import id_token
from services.common.auth.id_token import IdTokenVerifier, InvalidIdToken, RefusalReason
from services.common.auth.key_set import KeySet
from tests.support.clock import ManualClock
from tests.support.identity import AUDIENCE, ISSUER, KID, NOW, JwksServer, claims, jwk, jwks_server, rsa_key, token


@dataclass
class Authentication:
    server: JwksServer
    keys: KeySet
    verifier: IdTokenVerifier
    clock: ManualClock
    checked: list[str] = field(default_factory=list)
    """Tokens whose signature was checked."""

    async def refused(self, text: str) -> RefusalReason:
        with pytest.raises(InvalidIdToken) as refused:
            await self.verifier.verify(text)
        return refused.value.reason

    async def read_keys_again(self) -> None:
        assert await self.keys._refresh()


@pytest.fixture
async def auth(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Authentication]:
    monkeypatch.setattr(id_token, "MAX_CACHED_TOKENS", 2)
    clock = ManualClock(NOW)
    async with jwks_server() as server, aiohttp.ClientSession() as session:
        keys = KeySet(server.url, session, clock=clock)
        auth = Authentication(server, keys, IdTokenVerifier(ISSUER, AUDIENCE, keys, clock=clock), clock)
        decode = jwt.decode

        def counted(text: str, *arguments: Any, **options: Any) -> Any:
            auth.checked.append(text)
            return decode(text, *arguments, **options)

        monkeypatch.setattr(jwt, "decode", counted)
        yield auth


def of(sub: str) -> str:
    return token(payload=claims(sub=sub))


async def test_a_verified_token_is_not_checked_again(auth: Authentication) -> None:
    text = token()
    assert await auth.verifier.verify(text) == await auth.verifier.verify(text)
    assert auth.checked == [text]


async def test_users_are_not_mixed_up(auth: Authentication) -> None:
    first, second = of("first"), of("second")
    for _ in range(2):
        assert (await auth.verifier.verify(first)).sub == "first"
        assert (await auth.verifier.verify(second)).sub == "second"
    assert auth.checked == [first, second]


async def test_a_remembered_token_expires(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    auth.clock.advance(3600)
    assert await auth.refused(text) is RefusalReason.EXPIRED


async def test_a_refused_token_is_not_remembered(auth: Authentication) -> None:
    text = token(key=rsa_key("other"))
    assert [await auth.refused(text), await auth.refused(text)] == [RefusalReason.SIGNATURE] * 2
    assert auth.checked == [text, text]


async def test_another_signature_on_a_remembered_token_is_refused(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    forged = f"{text.rpartition('.')[0]}.{token(key=rsa_key('other')).rpartition('.')[2]}"
    assert await auth.refused(forged) is RefusalReason.SIGNATURE


async def test_a_withdrawn_key_is_not_trusted_for_remembered_tokens(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    auth.server.keys = [jwk("another", rsa_key("other"))]
    await auth.read_keys_again()
    assert await auth.refused(text) is RefusalReason.KEY


async def test_another_key_under_the_same_id_is_asked_again(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    auth.server.keys = [jwk(key=rsa_key("other"))]
    await auth.read_keys_again()
    assert await auth.refused(text) is RefusalReason.SIGNATURE


async def test_only_so_many_are_remembered(auth: Authentication) -> None:
    first, second, third = of("first"), of("second"), of("third")
    for text in (first, second, third, first):
        await auth.verifier.verify(text)
    assert auth.checked == [first, second, third, first]


async def test_no_token_is_kept_in_memory(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    assert text not in repr(vars(auth.verifier))


async def test_a_header_that_is_no_text_is_refused_as_before(auth: Authentication) -> None:
    assert await auth.refused("a.b.\udc80") is RefusalReason.MALFORMED


async def test_reading_equal_keys_again_forgets_no_token(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    for _ in range(3):
        await auth.read_keys_again()
        await auth.verifier.verify(text)
    assert auth.checked == [text]


async def test_unknown_key_ids_forget_no_token(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    for number in range(3):
        auth.clock.advance(10)
        assert await auth.refused(token({"alg": "RS256", "kid": f"made-up-{number}"})) is RefusalReason.KEY
        await auth.verifier.verify(text)
    assert auth.server.requests == 4
    assert auth.checked == [text]


async def test_a_key_beside_the_known_one_forgets_no_token(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    auth.server.keys.append(jwk("another", rsa_key("other")))
    await auth.read_keys_again()
    await auth.verifier.verify(text)
    assert auth.checked == [text]


async def test_another_key_of_the_same_id_is_not_trusted_for_remembered_tokens(auth: Authentication) -> None:
    text = token()
    await auth.verifier.verify(text)
    auth.server.keys = [jwk(KID, rsa_key("other"))]
    await auth.read_keys_again()
    assert await auth.refused(text) is RefusalReason.SIGNATURE


async def test_tokens_of_a_key_that_returns_are_verified_again(auth: Authentication) -> None:
    text, keys = token(), auth.server.keys
    await auth.verifier.verify(text)
    auth.server.keys = [jwk("another", rsa_key("other"))]
    await auth.read_keys_again()
    auth.server.keys = keys
    await auth.read_keys_again()
    await auth.verifier.verify(text)
    assert auth.checked == [text, text]
