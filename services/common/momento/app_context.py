"""The Momento gateway as a part of an application: opened at start, closed at stop."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import Gauge

from services.common.aws.clients import ssm_client
from services.common.aws.ssm_parameter import Parameter
from services.common.lifecycle import Lifecycle
from services.common.momento.api_key import credential_provider
from services.common.momento.gateway import Momento
from services.common.settings import MomentoSettings
from services.common.telemetry.metrics import PREFIX

if TYPE_CHECKING:  # stubs, which production does not have
    from types_aiobotocore_ssm import SSMClient

MOMENTO = web.AppKey("momento", Momento)
# Here and not in metrics.py, since ingest has no key and would tell of one that is 0 s old.
KEY_AGE = Gauge(
    "momento_key_age_seconds", "Since the Momento API key was put into SSM; NaN: unknown.", namespace=PREFIX
)


def api_key_parameter(ssm: "SSMClient", settings: MomentoSettings) -> Parameter:
    """Return the parameter with the API key; what can be no key, such as a typing error, never replaces a good one."""
    return Parameter(ssm, settings.api_key_param_name, check=lambda key: credential_provider(key, settings.endpoint))


def setup_momento(app: web.Application, settings: MomentoSettings, lifecycle: Lifecycle) -> None:
    """Give `app` a gateway whose API key comes from SSM and is kept fresh."""

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
