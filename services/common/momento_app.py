"""The Momento gateway as a part of an application: opened at start, closed at stop."""

from collections.abc import AsyncIterator

from aiohttp import web

from services.common.aws import ssm_client
from services.common.lifecycle import Lifecycle
from services.common.momento import Momento
from services.common.parameter import Parameter
from services.common.settings import MomentoSettings

MOMENTO = web.AppKey("momento", Momento)


def use_momento(app: web.Application, settings: MomentoSettings, lifecycle: Lifecycle) -> None:
    """Give `app` a gateway whose API key comes from SSM and is kept fresh."""

    async def momento(app: web.Application) -> AsyncIterator[None]:
        async with ssm_client() as ssm:
            api_key = Parameter(ssm, settings.api_key_param_name)
            gateway = Momento(settings, api_key, lifecycle.background)
            lifecycle.add_check("momento", gateway.not_ready)
            app[MOMENTO] = gateway
            async with gateway.running(), lifecycle.background.running("momento-key", api_key.run()):
                yield

    app.cleanup_ctx.append(momento)
