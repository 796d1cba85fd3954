"""Momento API keys, both kinds: where to connect with one.

A v1 key is base64 JSON ``{"endpoint", "api_key"}``; a v2 key is a JWT with the claim ``t: "g"`` and needs its
endpoint beside it (momentohq/client-sdk-python, ``credential_provider.py``).
"""

import base64
import binascii
from urllib.parse import urlsplit

import orjson
from momento import CredentialProvider
from momento.errors import SdkException

from services.common.errors import PermanentError


class InvalidApiKey(PermanentError):
    """The Momento API key cannot be used; the message says why and never quotes it."""


def credential_provider(key: str, endpoint: str | None) -> CredentialProvider:
    """Say where and as whom to connect.

    :param endpoint: None, a bare host name for v2 keys, or ``http://host:port`` for plaintext (an emulator;
        the SDK speaks TLS on port 443 alone).
    :raises InvalidApiKey: when the key is neither v1 nor v2, or the endpoint that it needs is not given.
    """
    secret, own_endpoint = _parse(key)
    try:
        if own_endpoint is not None:
            provider = CredentialProvider.from_disposable_token(key)
        else:
            provider = CredentialProvider.from_api_key_v2(key, endpoint or "not-known")
    except SdkException:
        raise InvalidApiKey("The value is neither a v1 nor a v2 Momento API key: make a new one.") from None
    if endpoint is not None and "://" in endpoint:
        url = urlsplit(endpoint)
        host = url.hostname or ""
        return CredentialProvider(secret, host, host, host, url.port or 0)
    if own_endpoint is None and endpoint is None:
        raise InvalidApiKey("This is a v2 API key, which does not carry its endpoint: set MOMENTO_ENDPOINT.")
    return provider


def _parse(key: str) -> tuple[str, str | None]:
    """Return the raw secret, and the endpoint where the key carries one."""
    try:
        fields = orjson.loads(base64.b64decode(key, validate=True))
        return str(fields["api_key"]), str(fields["endpoint"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        return key, None
