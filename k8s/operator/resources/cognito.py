"""What Cognito's calls have in common."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient


def whole_update(
    idp: "CognitoIdentityProviderClient",
    operation: str,
    actual: Mapping[str, object],
    drift: Mapping[str, object],
) -> dict[str, object]:
    """The arguments of an update that changes `drift` and nothing else.

    UpdateUserPool and UpdateUserPoolClient may set what is left out back to its default (Cognito API reference;
    field by field in truth, as go-to-k/cdkd#1982 measured), so what is there travels along. Which fields an
    update takes comes from the SDK's own model; empty ones stay out, since the model refuses some of them.
    An inactive deletion protection stays out too: left out it is kept or set to its default, which is inactive;
    sent, it would switch off what a person switched on since the pool was read.
    """
    shape = idp.meta.service_model.operation_model(operation).input_shape
    accepted = shape.members if shape else {}
    kept = {field: value for field, value in actual.items() if field in accepted and value not in (None, "", [], {})}
    if kept.get("DeletionProtection") == "INACTIVE":
        del kept["DeletionProtection"]
    return _merged(_without_superseded(kept), drift)


def _without_superseded(pool: dict[str, object]) -> dict[str, object]:
    # Cognito reports this beside the password policy's TemporaryPasswordValidityDays and refuses it in an
    # update (pulumi/pulumi-aws-native#1256).
    admin = pool.get("AdminCreateUserConfig")
    if isinstance(admin, Mapping):
        kept = {key: value for key, value in admin.items() if key != "UnusedAccountValidityDays"}
        return pool | {"AdminCreateUserConfig": kept}
    return pool


def _merged(actual: Mapping[str, object], drift: Mapping[str, object]) -> dict[str, object]:
    merged = dict(actual)
    for key, value in drift.items():
        before = merged.get(key)
        both_nested = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(before, value) if both_nested else value  # type: ignore[arg-type]
    return merged
