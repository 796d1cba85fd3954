"""The Momento gateway as a part of an application: opened at start, closed at stop."""

from collections.abc import AsyncIterator

from aiohttp import web
from prometheus_client import Gauge

from services.common.aws import ssm_client
from services.common.lifecycle import Lifecycle
from services.common.metrics import PREFIX
from services.common.momento import Momento
from services.common.parameter import Parameter
from services.common.settings import MomentoSettings

MOMENTO = web.AppKey("momento", Momento)
# Here and not in metrics.py, since ingest has no key and would tell of one that is 0 s old.
KEY_AGE = Gauge(
    "momento_key_age_seconds", "Since the Momento API key was put into SSM; NaN: unknown.", namespace=PREFIX
)


def use_momento(app: web.Application, settings: MomentoSettings, lifecycle: Lifecycle) -> None:
    """Give `app` a gateway whose API key comes from SSM and is kept fresh."""

    async def momento(app: web.Application) -> AsyncIterator[None]:
        async with ssm_client() as ssm:
            api_key = Parameter(ssm, settings.api_key_param_name)
            gateway = Momento(settings, api_key, lifecycle.background)
            lifecycle.add_check("momento", gateway.not_ready)
            app[MOMENTO] = gateway
            KEY_AGE.set_function(api_key.age_seconds)
            async with gateway.running(), lifecycle.background.running("momento-key", api_key.run()):
                yield

    app.cleanup_ctx.append(momento)
