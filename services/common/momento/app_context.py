"""The Momento gateway of an application: opened at its start, closed at its end."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import Gauge

from services.common.aws.clients import ssm_client
from services.common.aws.ssm_parameter import SsmParameter
from services.common.lifecycle import Lifecycle
from services.common.momento.api_key import credential_provider
from services.common.momento.gateway import Momento
from services.common.settings import MomentoSettings
from services.common.telemetry.metrics import PREFIX

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_ssm import SSMClient

MOMENTO = web.AppKey("momento", Momento)
# Not in metrics.py, since ingest has no key and would report an age of 0 s.
KEY_AGE = Gauge("momento_key_age_seconds", "Age of the Momento API key in SSM; NaN: unknown.", namespace=PREFIX)


def api_key_parameter(ssm: "SSMClient", settings: MomentoSettings) -> SsmParameter:
    """Return the parameter with the API key. An invalid value, such as a typing error, does not replace a valid one."""
    return SsmParameter(ssm, settings.api_key_param_name, check=lambda key: credential_provider(key, settings.endpoint))


def setup_momento(app: web.Application, settings: MomentoSettings, lifecycle: Lifecycle) -> None:
    """Add a gateway to `app`; its API key is read from SSM and refreshed."""

    async def momento(app: web.Application) -> AsyncIterator[None]:
        async with ssm_client() as ssm:
            api_key = api_key_parameter(ssm, settings)
            gateway = Momento(settings, api_key, lifecycle.background)
            lifecycle.add_check("momento", gateway.readiness_problem)
            lifecycle.add_faults(gateway.faults.current)
            lifecycle.add_faults(api_key.faults)
            app[MOMENTO] = gateway
            KEY_AGE.set_function(api_key.age_seconds)
            async with gateway.running(), lifecycle.background.running("momento-key", api_key.run()):
                yield

    app.cleanup_ctx.append(momento)
