"""The user pool client with which browsers sign in: find, create, correct drift, delete.

A client cannot have tags. In the stage's own pool a client with the stage's name belongs to the stage; in a given pool
the ownership tags of other resources say so (`ownership_tags.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from k8s.operator.resources.aws import aws_call
from k8s.operator.resources.drift import complete_cognito_update, satisfies
from k8s.operator.resources.errors import NotFoundError
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.ownership_tags import CLIENT_KIND, UntaggableResource
from k8s.operator.resources.reconcile_log import ReconcileLog
from notification_api import PermanentError

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient as Idp

CLIENT_SETTING = "userPool.clientId"

_UNITS = {"IdToken": "minutes", "AccessToken": "minutes", "RefreshToken": "days"}
_UNIT_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}

SETTINGS: Mapping[str, object] = {
    # SRP only: the password never leaves the browser. No secret, since a browser cannot keep one.
    "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    "PreventUserExistenceErrors": "ENABLED",
    "EnableTokenRevocation": True,
    "IdTokenValidity": 60,
    "AccessTokenValidity": 60,
    "RefreshTokenValidity": 30,
    "TokenValidityUnits": _UNITS,
}


@dataclass(frozen=True)
class UserPoolClient:
    """A client as Cognito reports it."""

    settings: Mapping[str, Any]

    @property
    def pool_id(self) -> str:
        return str(self.settings["UserPoolId"])

    @property
    def client_id(self) -> str:
        return str(self.settings["ClientId"])

    def drift(self) -> dict[str, object]:
        """The settings to write: those that are weaker than ours, or break sign-in. Shorter validities stay."""
        drift: dict[str, object] = {}
        flows = _wanted_flows(self.settings)
        if not satisfies(flows, self.settings.get("ExplicitAuthFlows", [])):
            drift["ExplicitAuthFlows"] = flows
        for switch in ("PreventUserExistenceErrors", "EnableTokenRevocation"):
            if self.settings.get(switch) != SETTINGS[switch]:
                drift[switch] = SETTINGS[switch]
        for token, unit in _UNITS.items():
            valid, longest = _valid_seconds(self.settings, token), _valid_seconds(SETTINGS, token)
            if not 0 < valid <= longest:
                drift[f"{token}Validity"] = SETTINGS[f"{token}Validity"]
                units = drift.setdefault("TokenValidityUnits", {})
                cast("dict[str, str]", units)[token] = unit
        return drift

    def preference(self) -> tuple[Any, str]:
        """Sort key; of several clients the first is used: the oldest, since browsers have loaded its id."""
        return self.settings["CreationDate"], self.client_id


def _wanted_flows(settings: Mapping[str, Any]) -> list[str]:
    """Without ALLOW_REFRESH_TOKEN_AUTH where refresh tokens rotate: that is stricter, and Cognito refuses both."""
    flows = cast("list[str]", SETTINGS["ExplicitAuthFlows"])
    rotates = settings.get("RefreshTokenRotation", {}).get("Feature") == "ENABLED"
    return [flow for flow in flows if not (rotates and flow == "ALLOW_REFRESH_TOKEN_AUTH")]


def _valid_seconds(settings: Mapping[str, Any], kind: str) -> int:
    """How long a token is valid; 0 if not set. Cognito's default unit is hours, or days for the refresh token."""
    default = "days" if kind == "RefreshToken" else "hours"
    unit = settings.get("TokenValidityUnits", {}).get(kind, default)
    return int(settings.get(f"{kind}Validity", 0)) * _UNIT_SECONDS[unit]


def client_in_given_pool(identity: Identity, pool_id: str) -> UntaggableResource:
    title = f"client {identity.names.user_pool_client} in user pool {pool_id}"
    return UntaggableResource(CLIENT_KIND, pool_id, title, CLIENT_SETTING)


async def read_client(idp: "Idp", pool_id: str, client_id: str) -> UserPoolClient:
    """:raises NotFoundError:"""
    async with aws_call("cognito-idp:DescribeUserPoolClient", f"{pool_id}/{client_id}"):
        answer = await idp.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
    return UserPoolClient(answer["UserPoolClient"])


async def find_clients(idp: "Idp", pool_id: str, name: str) -> list[UserPoolClient]:
    """Every client with this name in the pool, the preferred one first; none if the pool does not exist."""
    try:
        ids = await _list_ids(idp, pool_id, name)
    except NotFoundError:
        return []
    found = []
    for client_id in ids:
        try:
            found.append(await read_client(idp, pool_id, client_id))
        except NotFoundError:  # deleted after it was listed
            continue
    return sorted(found, key=UserPoolClient.preference)


async def _list_ids(idp: "Idp", pool_id: str, name: str) -> list[str]:
    ids: list[str] = []
    page: dict[str, str] = {}
    while True:
        async with aws_call("cognito-idp:ListUserPoolClients", pool_id):
            answer = await idp.list_user_pool_clients(UserPoolId=pool_id, MaxResults=60, **page)
        ids += [client["ClientId"] for client in answer["UserPoolClients"] if client.get("ClientName") == name]
        if not answer.get("NextToken"):
            return ids
        page = {"NextToken": answer["NextToken"]}


async def ensure_client(idp: "Idp", pool_id: str, found: list[UserPoolClient], log: ReconcileLog) -> UserPoolClient:
    """The stage's client, out of those found, which all belong to it; created if there is none."""
    name = log.identity.names.user_pool_client
    for other in found[1:]:
        log.notice(f"client {other.client_id} is a second {name} in {pool_id}, unused; it is deleted with the stage")
    if found:
        await _correct_drift(idp, found[0], log)
        return found[0]
    arguments: dict[str, Any] = dict(SETTINGS)
    async with aws_call("cognito-idp:CreateUserPoolClient", f"{pool_id}/{name}"):
        answer = await idp.create_user_pool_client(
            UserPoolId=pool_id, ClientName=name, GenerateSecret=False, **arguments
        )
    log.changed(f"created client {name} in user pool {pool_id}")
    return UserPoolClient(answer["UserPoolClient"])


async def _correct_drift(idp: "Idp", client: UserPoolClient, log: ReconcileLog) -> None:
    if client.settings.get("ClientSecret"):
        raise PermanentError(
            f"client {client.client_id} has a secret, which a browser cannot keep; delete it or name another"
            f" in {CLIENT_SETTING}"
        )
    drift = client.drift()
    if not drift:
        return
    arguments: dict[str, Any] = complete_cognito_update(idp, "UpdateUserPoolClient", client.settings, drift)
    async with aws_call("cognito-idp:UpdateUserPoolClient", client.client_id):
        await idp.update_user_pool_client(**arguments)
    log.changed(f"set {', '.join(sorted(drift))} of client {client.client_id}")


async def delete_client(idp: "Idp", client: UserPoolClient, log: ReconcileLog) -> None:
    """Delete a client that the stage owns. A client that no longer exists is no error."""
    try:
        async with aws_call("cognito-idp:DeleteUserPoolClient", client.client_id):
            await idp.delete_user_pool_client(UserPoolId=client.pool_id, ClientId=client.client_id)
    except NotFoundError:
        return
    log.changed(f"deleted client {client.client_id} of user pool {client.pool_id}")
