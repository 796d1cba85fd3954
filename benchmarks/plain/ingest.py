"""The plain ingest: the same authentication and validation, one SendMessage for each request, nothing else."""

import asyncio
import os
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import aiohttp
import uvloop
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import web

from services.common.auth.bearer_token import id_token_of
from services.common.auth.id_token import IdTokenVerifier
from services.common.auth.key_set import KeySet
from services.common.messages.task_message import TaskMessage
from services.common.settings import load, read_http
from services.common.web.app import HTTP
from services.ingest.body import read_task_body
from services.ingest.settings import DEFAULT_MAX_BODY_BYTES
from services.ingest.task_id import task_id_for

VERIFIER = web.AppKey("verifier", IdTokenVerifier)
CLIENT = web.AppKey[Any]("client", object)
CONNECTIONS = 64


async def post_task(request: web.Request) -> web.Response:
    user = await request.app[VERIFIER].verify(id_token_of(request.headers))
    body = await read_task_body(request, ())
    task = TaskMessage(task_id=task_id_for(user.sub, None), user_id=user.sub, payload=body.payload)
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in task.attributes().items()}
    await request.app[CLIENT].send_message(
        QueueUrl=os.environ["TASK_QUEUE_URL"],
        MessageBody=task.body(),
        MessageAttributes=attributes,
        MessageGroupId=user.sub,
    )
    return web.json_response({"taskId": task.task_id}, status=HTTPStatus.ACCEPTED)


async def _parts(app: web.Application) -> AsyncIterator[None]:
    config = AioConfig(max_pool_connections=CONNECTIONS)
    async with aiohttp.ClientSession() as session, get_session().create_client("sqs", config=config) as client:
        keys = KeySet(os.environ["OIDC_JWKS_URL"], session)
        app[VERIFIER] = IdTokenVerifier(os.environ["OIDC_ISSUER"], os.environ["OIDC_AUDIENCE"], keys)
        app[CLIENT] = client
        yield


async def _ready(_: web.Request) -> web.Response:
    return web.Response(text="")


async def _no_metrics(_: web.Request) -> web.Response:
    return web.Response(text="")


def create_app() -> web.Application:
    app = web.Application()
    app[HTTP] = load(lambda env: read_http(env, default_max_body_bytes=DEFAULT_MAX_BODY_BYTES))
    app.router.add_post("/task", post_task)
    return app


async def main() -> None:
    app = create_app()
    app.cleanup_ctx.append(_parts)
    operations = web.Application()
    operations.router.add_get("/readyz", _ready)
    operations.router.add_get("/metrics", _no_metrics)
    for one, setting in ((app, "PORT"), (operations, "OPS_PORT")):
        runner = web.AppRunner(one, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(os.environ[setting])).start()
    await asyncio.Event().wait()  # until it is killed


if __name__ == "__main__":
    uvloop.run(main())
