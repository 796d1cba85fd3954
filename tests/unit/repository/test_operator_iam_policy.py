"""What `docs/iam/operator.json` allows is what the operator calls."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
SOURCES = [file.read_text() for file in (ROOT / "k8s" / "operator").rglob("*.py")]
SERVICES = {"sqs": "sqs", "idp": "cognito-idp", "ssm": "ssm", "_ssm": "ssm"}
# Nothing narrower is to be had (Service Authorization Reference, Amazon Cognito User Pools).
WITHOUT_RESOURCE = {"cognito-idp:CreateUserPool", "cognito-idp:ListUserPools"}


def statements() -> list[dict[str, Any]]:
    policy: Any = json.loads((ROOT / "docs" / "iam" / "operator.json").read_text())
    return list(policy["Statement"])


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def named() -> set[str]:
    """As errors name them, so that a denial says what to allow."""
    return {action for text in SOURCES for action in re.findall(r'aws_call\("([a-z-]+:\w+)"', text)}


def called() -> set[str]:
    calls = [call for text in SOURCES for call in re.findall(r"\b(sqs|idp|_?ssm)\.((?:[a-z]+_)+[a-z]+)\(", text)]
    return {f"{SERVICES[client]}:{method.title().replace('_', '')}" for client, method in calls}


def test_every_call_is_allowed_and_nothing_else() -> None:
    allowed = {action for each in statements() for action in listed(each["Action"])}
    assert allowed == named() | {"kms:Decrypt"}
    assert named() == called()


def test_no_action_is_a_wildcard_and_every_resource_is_as_narrow_as_it_can_be() -> None:
    for each in statements():
        actions = listed(each["Action"])
        assert not [action for action in actions if "*" in action]
        assert ("*" in listed(each["Resource"])) == (set(actions) <= WITHOUT_RESOURCE)


def test_the_documents_point_to_it() -> None:
    assert "iam/operator.json" in (ROOT / "docs/reference/operator.md").read_text()
    assert "operator.json" in (ROOT / "docs" / "iam" / "README.md").read_text()
