"""The plain status route: the same authentication, the same two reads of the cache with the SDK, nothing else."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit

import aiohttp
import uvloop
from aiobotocore.session import get_session
from aiohttp import web
from momento import CacheClientAsync, Configurations, CredentialProvider
from momento.responses import CacheDictionaryGetField, CacheGet

from services.common.auth.bearer_token import id_token_of
from services.common.auth.id_token import IdTokenVerifier
from services.common.auth.key_set import KeySet

VERIFIER = web.AppKey("verifier", IdTokenVerifier)
CLIENT = web.AppKey("client", CacheClientAsync)


async def get_task(request: web.Request) -> web.Response:
    user = await request.app[VERIFIER].verify(id_token_of(request.headers))
    task_id, cache, client = request.match_info["taskId"], os.environ["MOMENTO_CACHE_NAME"], request.app[CLIENT]
    final = await client.dictionary_get_field(cache, f"history:{user.sub}", task_id)
    snapshot = await client.get(cache, f"task:{user.sub} {task_id}")
    if not isinstance(final, CacheDictionaryGetField.Miss) or not isinstance(snapshot, CacheGet.Miss):
        raise TypeError("the benchmark reads a task of which nothing is stored")
    return web.json_response({"taskId": task_id, "status": "queued"})


async def _parts(app: web.Application) -> AsyncIterator[None]:
    url = urlsplit(os.environ["MOMENTO_ENDPOINT"])
    host, port = url.hostname or "", url.port or 0
    async with aiohttp.ClientSession() as session, get_session().create_client("ssm") as ssm:
        parameter = await ssm.get_parameter(Name=os.environ["MOMENTO_API_KEY_PARAM_NAME"], WithDecryption=True)
        credentials = CredentialProvider(parameter["Parameter"]["Value"], host, host, host, port)
        client = await CacheClientAsync.create(Configurations.InRegion.Default.v1(), credentials, timedelta(minutes=1))
        async with client:
            keys = KeySet(os.environ["OIDC_JWKS_URL"], session)
            app[VERIFIER] = IdTokenVerifier(os.environ["OIDC_ISSUER"], os.environ["OIDC_AUDIENCE"], keys)
            app[CLIENT] = client
            yield


async def _empty(_: web.Request) -> web.Response:
    return web.Response(text="")


async def main() -> None:
    app, operations = web.Application(), web.Application()
    app.router.add_get("/task/{taskId}", get_task)
    app.cleanup_ctx.append(_parts)
    operations.router.add_get("/readyz", _empty)
    operations.router.add_get("/metrics", _empty)
    for one, setting in ((app, "PORT"), (operations, "OPS_PORT")):
        runner = web.AppRunner(one, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(os.environ[setting])).start()
    await asyncio.Event().wait()  # until it is killed


if __name__ == "__main__":
    uvloop.run(main())
