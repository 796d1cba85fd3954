"""Drift of a resource's settings: compare wanted settings with AWS', and build an update. Pure.

AWS reports more than was set, returns lists in any order, and writes numbers in JSON as numbers or strings.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_aiobotocore_cognito_idp import CognitoIdentityProviderClient


def differing(wanted: Mapping[str, object], actual: Mapping[str, object]) -> dict[str, object]:
    """The wanted settings that the actual ones do not satisfy."""
    return {key: value for key, value in wanted.items() if not satisfies(value, actual.get(key))}


def satisfies(wanted: object, actual: object) -> bool:
    """Whether `actual` contains all of `wanted`. Settings beyond `wanted` are ignored."""
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and not differing(wanted, actual)
    if isinstance(wanted, list):
        return isinstance(actual, list) and sorted(map(_canonical, wanted)) == sorted(map(_canonical, actual))
    return wanted == actual


def same_json(one: str, other: str) -> bool:
    """Whether two JSON texts are equal, whatever their order and whether numbers are quoted."""
    try:
        return _canonical(json.loads(one)) == _canonical(json.loads(other))
    except ValueError:
        return False


def _canonical(value: object) -> str:
    if isinstance(value, Mapping):
        return json.dumps({key: _canonical(item) for key, item in value.items()}, sort_keys=True)
    if isinstance(value, list):
        return json.dumps(sorted(_canonical(item) for item in value))
    return str(value)


def complete_cognito_update(
    idp: "CognitoIdentityProviderClient",
    operation: str,
    actual: Mapping[str, object],
    drift: Mapping[str, object],
) -> dict[str, object]:
    """The arguments of an update that changes `drift` and keeps every other setting.

    UpdateUserPool and UpdateUserPoolClient may reset a field that is left out to its default (Cognito API reference;
    measured field by field in go-to-k/cdkd#1982), so the actual settings are sent too. Which fields an update accepts
    is read from the SDK's model. Empty fields are left out, since the model refuses some of them.
    An inactive deletion protection is left out too: Cognito then keeps it. Sent, it would switch off a protection that
    a person activated after the pool was read.
    """
    shape = idp.meta.service_model.operation_model(operation).input_shape
    accepted = shape.members if shape else {}
    kept = {field: value for field, value in actual.items() if field in accepted and value not in (None, "", [], {})}
    if kept.get("DeletionProtection") == "INACTIVE":
        del kept["DeletionProtection"]
    return _merged(_without_superseded(kept), drift)


def _without_superseded(pool: dict[str, object]) -> dict[str, object]:
    # Cognito reports UnusedAccountValidityDays beside the password policy's TemporaryPasswordValidityDays and refuses
    # it in an update (pulumi/pulumi-aws-native#1256).
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
