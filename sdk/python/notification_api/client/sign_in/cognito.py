"""Sign up, confirm and sign in with Cognito, as a browser does: unsigned calls, and SRP for the password.

The calls are those of Amazon Cognito's "API Reference, User Pools".
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from notification_api.client.config import StageConfig
from notification_api.client.errors import CognitoError
from notification_api.client.sign_in.srp import SrpClient

CALL_TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An email address and its password. Only sign-up sends the password to Cognito."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserTokens:
    """The JSON Web Tokens of a signed-in user."""

    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


async def sign_up(http: aiohttp.ClientSession, config: StageConfig, user: Credentials) -> None:
    """Create the user. Cognito mails a code to the address, which `confirm_sign_up` needs.

    :raises CognitoError: as do all functions here.
    """
    attributes = [{"Name": "email", "Value": user.email}]
    body = {"Username": user.email, "Password": user.password, "UserAttributes": attributes}
    await _call(http, config, "SignUp", body)


async def resend_confirmation_code(http: aiohttp.ClientSession, config: StageConfig, user: Credentials) -> None:
    """Let Cognito mail a new code to a user who has not confirmed the address yet."""
    await _call(http, config, "ResendConfirmationCode", {"Username": user.email})


async def confirm_sign_up(http: aiohttp.ClientSession, config: StageConfig, user: Credentials, code: str) -> None:
    """Confirm the address with the code that was mailed to it."""
    await _call(http, config, "ConfirmSignUp", {"Username": user.email, "ConfirmationCode": code})


async def sign_in(http: aiohttp.ClientSession, config: StageConfig, user: Credentials) -> UserTokens:
    """Sign in without sending the password.

    :raises SrpError: when the challenge is not a valid one.
    """
    # The arithmetic takes some 50 ms, which would block the event loop.
    srp = await asyncio.to_thread(SrpClient, config.user_pool_id, user.password)
    parameters = {"USERNAME": user.email, "SRP_A": srp.public}
    challenge = await _call(http, config, "InitiateAuth", {"AuthFlow": "USER_SRP_AUTH", "AuthParameters": parameters})
    responses = await asyncio.to_thread(srp.answer, challenge["ChallengeParameters"], datetime.now(UTC))
    answer = await _call(
        http,
        config,
        "RespondToAuthChallenge",
        {"ChallengeName": "PASSWORD_VERIFIER", "ChallengeResponses": responses},
    )
    tokens = answer["AuthenticationResult"]
    return UserTokens(
        id_token=tokens["IdToken"], access_token=tokens["AccessToken"], refresh_token=tokens["RefreshToken"]
    )


async def _call(http: aiohttp.ClientSession, config: StageConfig, operation: str, body: dict[str, Any]) -> Any:
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
    }
    text = json.dumps({"ClientId": config.user_pool_client_id, **body})
    async with http.post(config.cognito_url, data=text, headers=headers, timeout=CALL_TIMEOUT) as response:
        answer = await response.read()
        try:
            fields = json.loads(answer)
        except ValueError:
            raise CognitoError(operation, str(response.status), answer.decode(errors="replace")) from None
        if response.status != 200:
            code = str(fields.get("__type", response.status)).rpartition("#")[2]
            raise CognitoError(operation, code, str(fields.get("message", "")))
        return fields
