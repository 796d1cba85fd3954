"""SRP: the answers are those of pycognito."""

import base64
import hashlib
import hmac
import secrets
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycognito.aws_srp import AWSSRP

from notification_api.client.errors import SrpError
from notification_api.client.sign_in.srp import GENERATOR, GROUP, SrpClient, timestamp

POOL = "eu-central-1_AbCdEfGhI"
USER = "8f6b2c1e-1d4c-4b6e-9f55-0c8d8f0e8a01"
BLOCK = base64.b64encode(b"a secret block").decode()
NOW = datetime(2026, 11, 2, 9, 5, 7, tzinfo=UTC)


def challenge(**fields: str) -> dict[str, str]:
    return {"USER_ID_FOR_SRP": USER, "SECRET_BLOCK": BLOCK, "SALT": "c0ffee", "SRP_B": "abc123", **fields}


def pycognito_signature(client: SrpClient, password: str, asked: dict[str, str]) -> str:
    """Compute what pycognito answers with the same private number."""
    library: Any = AWSSRP(USER, password, POOL, "client", client=object())
    library.small_a_value = client._private
    library.large_a_value = library.calculate_a()
    key = library.get_password_authentication_key(USER, password, int(asked["SRP_B"], 16), asked["SALT"])
    signed = POOL.split("_")[1].encode() + USER.encode() + base64.b64decode(BLOCK) + timestamp(NOW).encode()
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


@settings(max_examples=25, deadline=None)
@given(password=st.text(min_size=1, max_size=40), salt=st.integers(1, 2**128), server=st.integers(2, GROUP - 1))
def test_it_answers_what_pycognito_answers(password: str, salt: int, server: int) -> None:
    client = SrpClient(POOL, password)
    asked = challenge(SALT=f"{salt:x}", SRP_B=f"{server:x}")
    assert client.answer(asked, NOW)["PASSWORD_CLAIM_SIGNATURE"] == pycognito_signature(client, password, asked)


def test_the_public_number_is_what_is_sent() -> None:
    client = SrpClient(POOL, "secret")
    assert int(client.public, 16) == pow(GENERATOR, client._private, GROUP)


def test_every_sign_in_has_its_own_private_number() -> None:
    assert SrpClient(POOL, "secret").public != SrpClient(POOL, "secret").public


def test_the_group_is_the_safe_prime_of_rfc_3526() -> None:
    assert GROUP.bit_length() == 3072
    for number in (GROUP, (GROUP - 1) // 2):  # Fermat, which a mistyped digit would not survive
        assert pow(secrets.randbelow(number - 2) + 2, number - 1, number) == 1


def test_a_server_that_would_learn_the_password_is_refused() -> None:
    for bad in (0, GROUP, 2 * GROUP):
        with pytest.raises(SrpError):
            SrpClient(POOL, "secret").answer(challenge(SRP_B=f"{bad:x}"), NOW)


def test_the_answer_names_the_user_as_cognito_does() -> None:
    answer = SrpClient(POOL, "secret").answer(challenge(USERNAME="someone"), NOW)
    assert answer["USERNAME"] == "someone"
    assert answer["PASSWORD_CLAIM_SECRET_BLOCK"] == BLOCK
    assert SrpClient(POOL, "secret").answer(challenge(), NOW)["USERNAME"] == USER


def test_the_password_is_nowhere_in_the_answer() -> None:
    answer = SrpClient(POOL, "hunter2-hunter2").answer(challenge(), NOW)
    assert "hunter2" not in str(answer)


def test_the_time_is_english_and_utc_without_a_leading_zero() -> None:
    assert timestamp(NOW) == "Mon Nov 2 09:05:07 UTC 2026"
    assert timestamp(NOW.astimezone(timezone(timedelta(hours=9)))) == "Mon Nov 2 09:05:07 UTC 2026"
