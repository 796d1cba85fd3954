"""The user pool's client, through which browsers sign in: find, make, mend, remove.

A client carries no tags. In a pool of ours a client of our name is ours; in a given pool the ledger says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from k8s.operator.resources.aws import aws_call
from k8s.operator.resources.cognito import whole_update
from k8s.operator.resources.diff import satisfies
from k8s.operator.resources.errors import NotFound, Permanent
from k8s.operator.resources.identity import Identity
from k8s.operator.resources.other_owners import CLIENT_KIND
from k8s.operator.resources.ownership_tags import Thing
from k8s.operator.resources.reconcile_log import ReconcileLog

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient as Idp

GIVE = "userPool.clientId"

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
        """What has to be written: only what is weaker than ours, or breaks sign-in. Shorter validities stay."""
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

    def rank(self) -> tuple[Any, str]:
        """Which of several to keep: the oldest, as its id is what browsers have loaded."""
        return self.settings["CreationDate"], self.client_id


def _wanted_flows(settings: Mapping[str, Any]) -> list[str]:
    """Refresh token rotation is stricter, and Cognito refuses it beside ALLOW_REFRESH_TOKEN_AUTH."""
    flows = cast("list[str]", SETTINGS["ExplicitAuthFlows"])
    rotates = settings.get("RefreshTokenRotation", {}).get("Feature") == "ENABLED"
    return [flow for flow in flows if not (rotates and flow == "ALLOW_REFRESH_TOKEN_AUTH")]


def _valid_seconds(settings: Mapping[str, Any], kind: str) -> int:
    """How long a token is valid; 0 where it is not said. Without a unit Cognito counts hours, or days to refresh."""
    default = "days" if kind == "RefreshToken" else "hours"
    unit = settings.get("TokenValidityUnits", {}).get(kind, default)
    return int(settings.get(f"{kind}Validity", 0)) * _UNIT_SECONDS[unit]


def client_thing(identity: Identity, pool_id: str) -> Thing:
    """A client in a given pool, as the ledger records it."""
    return Thing(CLIENT_KIND, pool_id, f"client {identity.names.user_pool_client} in user pool {pool_id}", GIVE)


async def read_client(idp: "Idp", pool_id: str, client_id: str) -> UserPoolClient:
    """Raises `NotFound`."""
    async with aws_call("cognito-idp:DescribeUserPoolClient", f"{pool_id}/{client_id}"):
        answer = await idp.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
    return UserPoolClient(answer["UserPoolClient"])


async def find_clients(idp: "Idp", pool_id: str, name: str) -> list[UserPoolClient]:
    """Every client of this name in the pool, the one to keep first; none when the pool is gone."""
    try:
        ids = await _ids(idp, pool_id, name)
    except NotFound:
        return []
    found = []
    for client_id in ids:
        try:
            found.append(await read_client(idp, pool_id, client_id))
        except NotFound:  # deleted since it was listed
            continue
    return sorted(found, key=UserPoolClient.rank)


async def _ids(idp: "Idp", pool_id: str, name: str) -> list[str]:
    ids: list[str] = []
    page: dict[str, str] = {}
    while True:
        async with aws_call("cognito-idp:ListUserPoolClients", pool_id):
            answer = await idp.list_user_pool_clients(UserPoolId=pool_id, MaxResults=60, **page)
        ids += [client["ClientId"] for client in answer["UserPoolClients"] if client.get("ClientName") == name]
        if not answer.get("NextToken"):
            return ids
        page = {"NextToken": answer["NextToken"]}


async def make_client(idp: "Idp", pool_id: str, found: list[UserPoolClient], log: ReconcileLog) -> UserPoolClient:
    """The client to use, out of those found (all ours) or made, its settings mended."""
    name = log.identity.names.user_pool_client
    for other in found[1:]:
        log.notice(f"client {other.client_id} is a second {name} in {pool_id}, unused; it goes with the stage")
    if found:
        await _mend(idp, found[0], log)
        return found[0]
    arguments: dict[str, Any] = dict(SETTINGS)
    async with aws_call("cognito-idp:CreateUserPoolClient", f"{pool_id}/{name}"):
        answer = await idp.create_user_pool_client(
            UserPoolId=pool_id, ClientName=name, GenerateSecret=False, **arguments
        )
    log.changed(f"created client {name} in user pool {pool_id}")
    return UserPoolClient(answer["UserPoolClient"])


async def _mend(idp: "Idp", client: UserPoolClient, log: ReconcileLog) -> None:
    if client.settings.get("ClientSecret"):
        raise Permanent(f"client {client.client_id} has a secret, which no browser can keep; delete it or give another")
    drift = client.drift()
    if not drift:
        return
    arguments: dict[str, Any] = whole_update(idp, "UpdateUserPoolClient", client.settings, drift)
    async with aws_call("cognito-idp:UpdateUserPoolClient", client.client_id):
        await idp.update_user_pool_client(**arguments)
    log.changed(f"set {', '.join(sorted(drift))} of client {client.client_id}")


async def remove_client(idp: "Idp", client: UserPoolClient, log: ReconcileLog) -> None:
    """Delete a client that the caller knows to be ours; gone already is as good."""
    try:
        async with aws_call("cognito-idp:DeleteUserPoolClient", client.client_id):
            await idp.delete_user_pool_client(UserPoolId=client.pool_id, ClientId=client.client_id)
    except NotFound:
        return
    log.changed(f"deleted client {client.client_id} of user pool {client.pool_id}")
