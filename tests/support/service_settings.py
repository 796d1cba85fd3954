"""The settings of the services with an API, where the environment has only what is required."""

from typing import Any

import pytest

import services.ingest.settings
import services.token.settings
from services.common.settings import load

MODULES = {"token": services.token.settings, "ingest": services.ingest.settings}
SERVICES = tuple(MODULES)
REQUIRED = {
    "STAGE_NAME": "dev",
    "OIDC_ISSUER": "https://issuer.example.com",
    "OIDC_AUDIENCE": "client",
    "OIDC_JWKS_URL": "https://issuer.example.com/jwks.json",
    "TASK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/1/tasks",
    "MOMENTO_API_KEY_PARAM_NAME": "/notification-api/dev/momento-api-key",
    "MOMENTO_CACHE_NAME": "cache",
}


def settings_of(service: str) -> Any:
    """The service's settings."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in REQUIRED.items():
            patch.setenv(name, value)
        return load(MODULES[service].read_settings)
