"""A queue's access policy, as far as it protects the queue against deletion. Pure."""

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

_DELETE = "sqs:deletequeue"
_EVERYBODY = re.compile(r"\*|[0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:root")


def denies_deletion(policy: str) -> bool:
    """Whether a statement without a condition denies everybody `sqs:DeleteQueue` (IAM reference, policy elements).

    A denial to an account is one to everybody in it, and a denial to all but some is taken to include us.
    A denial with a condition is none here: a usual one denies everything that comes without TLS.
    """
    try:
        statements = json.loads(policy or "{}").get("Statement", [])
    except (ValueError, AttributeError):
        return False
    return any(_denies(each) for each in _listed(statements) if isinstance(each, Mapping))


def _denies(statement: Mapping[str, Any]) -> bool:
    principal = statement.get("Principal")
    denied = _listed(principal.get("AWS") if isinstance(principal, Mapping) else principal)
    is_everybody = "NotPrincipal" in statement or any(_EVERYBODY.fullmatch(str(each)) for each in denied)
    if statement.get("Effect") != "Deny" or statement.get("Condition") or not is_everybody:
        return False
    if "Action" in statement:
        return _matches(statement["Action"])
    return "NotAction" in statement and not _matches(statement["NotAction"])


def _matches(actions: object) -> bool:
    return any(fnmatchcase(_DELETE, str(action).lower()) for action in _listed(actions))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
