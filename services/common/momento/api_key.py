"""Momento API keys: their two kinds, and where to connect.

A v1 key is base64 JSON ``{"endpoint", "api_key"}``. A v2 key is a JWT with the claim ``t: "g"``; its endpoint has to be
configured (momentohq/client-sdk-python, ``credential_provider.py``).
"""

import base64
import binascii
from urllib.parse import urlsplit

import orjson
from momento import CredentialProvider
from momento.errors import SdkException

from notification_api import PermanentError


class InvalidApiKey(PermanentError):
    """The Momento API key is invalid. The message says why and does not quote it."""


def credential_provider(key: str, endpoint: str | None) -> CredentialProvider:
    """Return the SDK's credentials and endpoint for a key.

    :param endpoint: None, a host name for v2 keys, or ``http://host:port`` for plaintext (an emulator; the SDK itself
        only uses TLS on port 443).
    :raises InvalidApiKey: when the key is neither v1 nor v2, or its endpoint is missing.
    """
    secret, own_endpoint = _parse(key)
    try:
        if own_endpoint is not None:
            provider = CredentialProvider.from_disposable_token(key)
        else:
            provider = CredentialProvider.from_api_key_v2(key, endpoint or "not-known")
    except SdkException:
        raise InvalidApiKey("The value is neither a v1 nor a v2 Momento API key: create a new key.") from None
    if endpoint is not None and "://" in endpoint:
        url = urlsplit(endpoint)
        host = url.hostname or ""
        return CredentialProvider(secret, host, host, host, url.port or 0)
    if own_endpoint is None and endpoint is None:
        raise InvalidApiKey("This is a v2 API key, which does not contain its endpoint: set MOMENTO_ENDPOINT.")
    return provider


def _parse(key: str) -> tuple[str, str | None]:
    """Return the secret, and the endpoint of a v1 key."""
    try:
        fields = orjson.loads(base64.b64decode(key, validate=True))
        return str(fields["api_key"]), str(fields["endpoint"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        return key, None
