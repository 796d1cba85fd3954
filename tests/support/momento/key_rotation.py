"""A rotation of the Momento API key, as an operator does it."""

import base64
import json

import aiohttp
from aiobotocore.session import get_session

from tests.support.processes.local_stack import LocalStack

ADMIN = {"x-emulator-admin": "1"}


async def rotate_momento_key(stack: LocalStack, kind: str) -> None:
    """Create a key of `kind` (v1, v2), store it, and revoke the previous one."""
    name = stack.environment("token")["MOMENTO_API_KEY_PARAM_NAME"]
    async with (
        aiohttp.ClientSession(headers=ADMIN, raise_for_status=True) as console,
        get_session().create_client("ssm", **stack.aws_client()) as ssm,
    ):
        old = (await ssm.get_parameter(Name=name, WithDecryption=True))["Parameter"]["Value"]
        async with console.post(f"{stack.emulator_admin_url}/keys") as answer:
            new = (await answer.json())[kind]
        await ssm.put_parameter(Name=name, Value=new, Type="SecureString", Overwrite=True)
        async with console.delete(f"{stack.emulator_admin_url}/keys/{_key_id(old)}"):
            pass


def _key_id(key: str) -> str:
    inner = key if "." in key else str(json.loads(base64.b64decode(key))["api_key"])
    payload = inner.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])
