"""The default of `deletionPolicy`: data of a stage that looks like production is not deleted with it."""

import pytest

from k8s.operator.api.stage import deletion_policy


@pytest.mark.parametrize(
    "name",
    [
        "prod", "production", "prd", "live", "main", "PROD", "Production", "prod1", "prod02", "prod-eu", "eu-prod",
        "eu-prod-1", "production-2", "acme_prod", "main-eu", "shop-live", "pre-prod",
    ],
)  # fmt: skip
def test_a_name_that_looks_like_production_is_retained(name: str) -> None:
    assert deletion_policy(None, name) == "Retain"
    assert deletion_policy("", name) == "Retain"
    assert deletion_policy("Delete", name) == "Delete"


@pytest.mark.parametrize(
    "name", ["dev", "pr-123", "product", "products-eu", "reprod", "preprod", "alive", "livestream", "domain", "mainly"]
)
def test_another_name_is_deleted(name: str) -> None:
    assert deletion_policy(None, name) == "Delete"
    assert deletion_policy("Retain", name) == "Retain"
