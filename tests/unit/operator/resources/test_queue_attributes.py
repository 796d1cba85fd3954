"""Which policies of a queue protect it against deletion."""

import json
from typing import Any

import pytest

from k8s.operator.resources.queue_attributes import denies_deletion

DENY: dict[str, Any] = {"Effect": "Deny", "Principal": "*", "Action": "sqs:DeleteQueue", "Resource": "*"}


def policy(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"Action": ["sqs:PurgeQueue", "SQS:DeleteQueue"]},
        {"Action": "sqs:*"},
        {"Action": "sqs:Delete*"},
        {"Principal": {"AWS": "*"}},
        {"Principal": {"AWS": ["*"]}},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {"Principal": {"AWS": ["123456789012"]}},
    ],
)
def test_a_denial_for_everybody_protects(changes: dict[str, Any]) -> None:
    assert denies_deletion(policy({**DENY, **changes}))
    assert denies_deletion(policy({"Effect": "Allow"}, {**DENY, **changes}))
    assert denies_deletion(json.dumps({"Statement": {**DENY, **changes}}))


def test_a_denial_for_all_but_some_protects() -> None:
    others = {key: value for key, value in DENY.items() if key != "Principal"}

    assert denies_deletion(policy({**others, "NotPrincipal": {"AWS": "arn:aws:iam::123456789012:role/admin"}}))


def test_a_denial_of_all_but_some_actions_protects_unless_deletion_is_one_of_them() -> None:
    others = {key: value for key, value in DENY.items() if key != "Action"}

    assert denies_deletion(policy({**others, "NotAction": "sqs:SendMessage"}))
    assert not denies_deletion(policy({**others, "NotAction": ["sqs:Delete*"]}))


@pytest.mark.parametrize(
    "changes",
    [
        {"Effect": "Allow"},
        {"Action": "sqs:DeleteMessage"},
        {"Action": "sqs:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Principal": {"AWS": "arn:aws:iam::123456789012:role/developers"}},
        {"Principal": {"Service": "sns.amazonaws.com"}},
    ],
)
def test_other_statements_do_not_protect(changes: dict[str, Any]) -> None:
    assert not denies_deletion(policy({**DENY, **changes}))


@pytest.mark.parametrize("text", ["", "{}", "no JSON", "[]", '{"Statement": null}', '{"Statement": ["odd"]}'])
def test_no_policy_and_an_unreadable_one_do_not_protect(text: str) -> None:
    assert not denies_deletion(text)
