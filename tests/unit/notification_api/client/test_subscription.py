"""Where a disposable token leads, and what is refused as one."""

import base64
import json

import pytest

from notification_api.client.errors import InvalidTokenError
from notification_api.client.subscription import credential_provider


def token(endpoint: str, key: str = "key") -> str:
    return base64.b64encode(json.dumps({"endpoint": endpoint, "api_key": key}).encode()).decode()


def test_a_token_of_the_emulator_connects_to_it_in_plaintext_with_the_real_key() -> None:
    provider = credential_provider(token("127.0.0.1:8084", "key"))
    assert (provider.auth_token, provider.cache_endpoint, provider.port) == ("key", "127.0.0.1", 8084)


def test_a_token_of_the_real_service_connects_to_it_over_tls() -> None:
    provider = credential_provider(token("cell-1.prod.a.momentohq.com"))
    assert provider.port == 443
    assert provider.cache_endpoint == "cache.cell-1.prod.a.momentohq.com"


@pytest.mark.parametrize("address", ["127.0.0.1:8084", "cell-1.prod.a.momentohq.com"])
def test_a_given_endpoint_replaces_the_tokens_own(address: str) -> None:
    provider = credential_provider(token(address, "key"), "http://momento.local:9084")
    assert (provider.auth_token, provider.cache_endpoint, provider.port) == ("key", "momento.local", 9084)


@pytest.mark.parametrize("text", ["", "no base64!", "e30=", "W10=", token("host:port"), "Z" * 7])
def test_an_invalid_token_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(InvalidTokenError, match="no disposable token") as refused:
        credential_provider(text)
    assert not text or text not in str(refused.value)
