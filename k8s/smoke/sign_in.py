"""Signing in as a browser does: unsigned calls to Cognito, whatever credentials there are."""

import asyncio
from datetime import UTC, datetime

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore import UNSIGNED

from k8s.smoke.settings import UserPool
from k8s.smoke.srp import SrpClient

CALL_WITHIN_SECONDS = 10


async def id_token(pool: UserPool) -> str:
    """The user's id token. Raises botocore's ClientError, whose message says what Cognito minds."""
    config = AioConfig(
        signature_version=UNSIGNED, connect_timeout=CALL_WITHIN_SECONDS, read_timeout=CALL_WITHIN_SECONDS
    )
    srp = await asyncio.to_thread(SrpClient, pool.pool_id, pool.user.password)
    async with get_session().create_client("cognito-idp", config=config) as cognito:
        challenge = await cognito.initiate_auth(
            ClientId=pool.client_id,
            AuthFlow="USER_SRP_AUTH",
            AuthParameters={"USERNAME": pool.user.email, "SRP_A": srp.public},
        )
        responses = await asyncio.to_thread(srp.answer, challenge["ChallengeParameters"], datetime.now(UTC))
        answer = await cognito.respond_to_auth_challenge(
            ClientId=pool.client_id, ChallengeName="PASSWORD_VERIFIER", ChallengeResponses=responses
        )
    return answer["AuthenticationResult"]["IdToken"]
