"""The values file of charts/notification-api for a stage of the local stack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from local.outputs import Outputs

HEADER = "# Values for charts/notification-api: a stage on the emulated AWS and Momento of this namespace.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The addresses of the emulators, for pods (aws, momento) and for browsers with port-forwards (the rest)."""

    stage_name: str
    service_name: str
    region: str
    aws_url: str
    momento_url: str
    momento_web_url: str
    origins: tuple[str, ...]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment. A missing variable raises KeyError: only the chart starts this program."""
        return cls(
            stage_name=environ["STAGE_NAME"],
            service_name=environ["SERVICE_NAME"],
            region=environ["AWS_DEFAULT_REGION"],
            aws_url=environ["STAGE_AWS_URL"],
            momento_url=environ["STAGE_MOMENTO_URL"],
            momento_web_url=environ["STAGE_MOMENTO_WEB_URL"],
            origins=tuple(environ["STAGE_ORIGINS"].split(",")),
        )


def values_file(outputs: Outputs, addresses: Addresses) -> str:
    """Render the values. They are JSON inside YAML, so that no string is read as another type."""
    return HEADER + "".join(f"{key}: {json.dumps(value)}\n" for key, value in values(outputs, addresses).items())


def values(outputs: Outputs, addresses: Addresses) -> dict[str, Any]:
    """Return the values."""
    return {
        "stageName": addresses.stage_name,
        "serviceName": addresses.service_name,
        "allowedOrigins": list(addresses.origins),
        "aws": {"region": addresses.region, "endpointUrl": addresses.aws_url, "emulated": True},
        "queue": {"url": outputs.queue_url, "deadLetterUrl": outputs.dead_letter_queue_url},
        "userPool": {"id": outputs.user_pool_id, "clientId": outputs.user_pool_client_id},
        "momento": {
            "cacheName": outputs.cache_name,
            "endpoint": addresses.momento_url,
            "webEndpoint": addresses.momento_web_url,
        },
    }
