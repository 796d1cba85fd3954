"""Sign up, confirm and sign in with Cognito, as a browser does: unsigned calls, and SRP for the password."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore import UNSIGNED
from pycognito.aws_srp import AWSSRP

from local.demo.config import ClientConfig

if TYPE_CHECKING:  # stubs, there in development only
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient

CALL_WITHIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """An email address and its password, which no service is ever told after sign-up."""

    email: str
    password: str = field(repr=False)


def fresh_credentials() -> Credentials:
    """An address that nobody has (RFC 2606) and a password that meets Cognito's policy."""
    return Credentials(f"demo-{secrets.token_hex(6)}@example.com", f"{secrets.token_urlsafe(18)}aA1!")


class Identity:
    """Calls to one user pool client; make it with `identity`."""

    def __init__(self, cognito: "CognitoIdentityProviderClient", config: ClientConfig) -> None:
        self._cognito = cognito
        self._config = config

    async def sign_up(self, user: Credentials) -> None:
        await self._cognito.sign_up(
            ClientId=self._config.user_pool_client_id,
            Username=user.email,
            Password=user.password,
            UserAttributes=[{"Name": "email", "Value": user.email}],
        )

    async def confirm(self, user: Credentials, code: str) -> None:
        await self._cognito.confirm_sign_up(
            ClientId=self._config.user_pool_client_id, Username=user.email, ConfirmationCode=code
        )

    async def sign_in(self, user: Credentials) -> str:
        """The id token. The password's maths runs in a thread, for it takes a while and would stall the loop."""
        srp = await asyncio.to_thread(self._srp, user)
        asked: dict[str, str] = srp.get_auth_params()
        challenge = await self._cognito.initiate_auth(
            ClientId=self._config.user_pool_client_id, AuthFlow="USER_SRP_AUTH", AuthParameters=asked
        )
        proof: dict[str, str] = await asyncio.to_thread(srp.process_challenge, challenge["ChallengeParameters"], asked)
        answer = await self._cognito.respond_to_auth_challenge(
            ClientId=self._config.user_pool_client_id,
            ChallengeName="PASSWORD_VERIFIER",
            ChallengeResponses=proof,
        )
        return answer["AuthenticationResult"]["IdToken"]

    def _srp(self, user: Credentials) -> Any:
        # It makes the calls itself too, and blocks; only its maths is wanted, so it gets no client to call with.
        config = self._config
        return AWSSRP(user.email, user.password, config.user_pool_id, config.user_pool_client_id, client=object())


@asynccontextmanager
async def identity(config: ClientConfig) -> AsyncIterator[Identity]:
    """Unsigned, since a browser has no AWS credentials either."""
    aio_config = AioConfig(
        signature_version=UNSIGNED, connect_timeout=CALL_WITHIN_SECONDS, read_timeout=CALL_WITHIN_SECONDS
    )
    async with get_session().create_client(
        "cognito-idp", region_name=config.region, endpoint_url=config.cognito_endpoint, config=aio_config
    ) as cognito:
        yield Identity(cognito, config)
