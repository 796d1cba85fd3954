"""`make token`: print an id token of the user dev@example.com, who is signed up at the first call.

The user's password is in the stack's state folder. Exit status: 0 printed, 1 not, 2 a setting is invalid.
"""

import asyncio
import fcntl
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TextIO

import aiohttp

from local.demo.sign_up import Application, application, random_credentials
from local.errors import LocalError
from local.plan import Plan
from local.ports import InvalidPortBaseError, ports_from
from notification_api.client import (
    Credentials,
    NotificationApiError,
    StageConfig,
    confirm_sign_up,
    resend_confirmation_code,
    sign_in,
    sign_up,
)
from notification_api.client.errors import CognitoError

EMAIL = "dev@example.com"
LOCK_SECONDS = 30.0
"""Longer than a sign-up takes."""
_UNKNOWN = frozenset({"UserNotFoundException", "NotAuthorizedException"})
"""Cognito's answers to a user who does not exist; the second one also to a wrong password."""


class ForeignUserError(LocalError):
    """Somebody else has signed up with this address."""


async def id_token(url: str, path: Path) -> str:
    """Return an id token of the developer's user of the stack at `url`.

    :param path: of the file that keeps the user's password, and the user pool that it belongs to.
    """
    async with application(url) as app:
        config = await app.config()
        async with locked(path) as file:  # until the user is confirmed: a second call waits
            user = _stored(file, config.user_pool_id) or _store_new(file, config.user_pool_id)
            return await _signed_in(app, config, user)


async def _signed_in(app: Application, config: StageConfig, user: Credentials) -> str:
    try:
        return (await sign_in(app.http, config, user)).id_token
    except CognitoError as error:
        if error.code in _UNKNOWN:
            await _sign_up(app, config, user)
        elif error.code == "UserNotConfirmedException":  # the sign-up was interrupted, and its mail may be lost
            await resend_confirmation_code(app.http, config, user)
        else:
            raise
    await confirm_sign_up(app.http, config, user, await app.mailed_code(user.email))
    return (await sign_in(app.http, config, user)).id_token


async def _sign_up(app: Application, config: StageConfig, user: Credentials) -> None:
    try:
        await sign_up(app.http, config, user)
    except CognitoError as error:
        if error.code != "UsernameExistsException":
            raise
        raise ForeignUserError(
            f"{user.email} has signed up with a password that is not known here. Stop the stack, forget its users with "
            "`make clean-state`, and start it again."
        ) from None


def _stored(file: TextIO, user_pool_id: str) -> Credentials | None:
    """Return the user, unless there is none of this user pool."""
    try:
        stored = json.loads(file.read())
        return Credentials(email=EMAIL, password=stored["password"]) if stored["userPoolId"] == user_pool_id else None
    except (ValueError, KeyError, TypeError):
        return None


def _store_new(file: TextIO, user_pool_id: str) -> Credentials:
    """Store a new password before it is used, so that an interrupted sign-up can be continued."""
    user = Credentials(email=EMAIL, password=random_credentials().password)
    file.seek(0)
    file.truncate()
    json.dump({"userPoolId": user_pool_id, "password": user.password}, file)
    file.flush()
    return user


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[TextIO]:
    """Open a file that only its owner can read, and wait until no other process has locked it.

    :raises TimeoutError: when that takes longer than LOCK_SECONDS.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
        async with asyncio.timeout(LOCK_SECONDS):
            while not _try_lock(file):  # noqa: ASYNC110 — the state of another process
                await asyncio.sleep(0.1)
        yield file


def _try_lock(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def main(environ: Mapping[str, str]) -> int:
    try:
        ports = ports_from(environ)
    except InvalidPortBaseError as error:
        return fail(error, 2)
    try:
        token = asyncio.run(id_token(f"http://localhost:{ports.page}", Plan(ports, {}).state / "developer.json"))
    except TimeoutError:
        return fail("The stack took too long to answer.", 1)
    except (LocalError, NotificationApiError, aiohttp.ClientError) as error:
        return fail(error, 1)
    sys.stdout.write(f"{token}\n")
    return 0


def fail(reason: object, status: int) -> int:
    sys.stderr.write(f"{reason}\n")
    return status


if __name__ == "__main__":
    sys.exit(main(os.environ))
