"""Who owns a resource."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.operator.resources.identity import Identity, InvalidNameError
from k8s.operator.resources.spec import Given, StageSpec
from notification_api import PermanentError

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9-]{0,30}", fullmatch=True)
VALUES = st.from_regex(r"[A-Za-z0-9_.:/=+@-]{1,40}", fullmatch=True)
IDENTITIES = st.builds(Identity, NAMES, NAMES, VALUES, VALUES)


def test_the_tags_are_service_stage_cluster_and_owner() -> None:
    assert Identity("notification-api", "dev", "prod-eu", "team/dev").tags() == {
        "notification-api.io/service": "notification-api",
        "notification-api.io/stage": "dev",
        "notification-api.io/cluster": "prod-eu",
        "notification-api.io/owner": "team/dev",
    }


@given(IDENTITIES, st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3))
def test_a_resource_with_the_tags_is_owned_whatever_other_tags_it_has(
    identity: Identity, others: dict[str, str]
) -> None:
    assert identity.owns(others | identity.tags())


@given(IDENTITIES, IDENTITIES)
def test_only_the_same_identity_owns(one: Identity, other: Identity) -> None:
    assert one.owns(other.tags()) == (one == other)


@given(IDENTITIES, st.integers(min_value=0, max_value=3))
def test_a_resource_that_lacks_a_tag_is_not_owned(identity: Identity, index: int) -> None:
    tags = identity.tags()
    del tags[sorted(tags)[index]]

    assert not identity.owns(tags)


@pytest.mark.parametrize("value", ["", "with space", "ümlaut", "x" * 257, "a\n"])
def test_what_cannot_be_a_tag_is_refused(value: str) -> None:
    with pytest.raises(PermanentError, match=r"cluster .* cannot be a tag"):
        Identity("notification-api", "dev", value, "owner")
    with pytest.raises(PermanentError, match=r"owner .* cannot be a tag"):
        Identity("notification-api", "dev", "cluster", value)


def test_an_identity_with_unusable_names_is_refused() -> None:
    with pytest.raises(InvalidNameError):
        Identity("notification-api", "d ev", "cluster", "owner")


def test_a_client_cannot_be_given_without_its_pool() -> None:
    identity = Identity("notification-api", "dev", "cluster", "owner")

    with pytest.raises(PermanentError, match=r"userPool\.clientId is given without userPool\.id"):
        StageSpec(identity, Given(user_pool_client_id="abc"))
