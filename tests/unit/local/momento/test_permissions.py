"""From permissions on the wire to yes or no, in the Momento emulator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from momento_wire_types import permissionmessages_pb2 as pb

from local.momento.permissions import MAX_PERMISSIONS, Access, Action, access_of

Topic = pb.PermissionsType.TopicPermissions
Item = pb.PermissionsType.CachePermissions
ALL = pb.PermissionsType.All()
CACHE = pb.PermissionsType.CacheSelector(cache_name="c")


def topics(*permissions: Topic) -> pb.Permissions:
    wrapped = [pb.PermissionsType(topic_permissions=each) for each in permissions]
    return pb.Permissions(explicit=pb.ExplicitPermissions(permissions=wrapped))


def items(*permissions: Item) -> pb.Permissions:
    wrapped = [pb.PermissionsType(cache_permissions=each) for each in permissions]
    return pb.Permissions(explicit=pb.ExplicitPermissions(permissions=wrapped))


def named(name: str) -> pb.PermissionsType.TopicSelector:
    return pb.PermissionsType.TopicSelector(topic_name=name)


def prefixed(prefix: str) -> pb.PermissionsType.TopicSelector:
    return pb.PermissionsType.TopicSelector(topic_name_prefix=prefix)


def test_several_permissions_add_up() -> None:
    access = access_of(
        topics(
            Topic(role=pb.TopicReadOnly, cache_selector=CACHE, topic_selector=named("mine")),
            Topic(role=pb.TopicWriteOnly, cache_selector=CACHE, topic_selector=prefixed("out/")),
        )
    )
    allowed = [
        (action, topic)
        for action in (Action.SUBSCRIBE, Action.PUBLISH)
        for topic in (b"mine", b"out/1", b"other")
        if access.allows(action, "c", topic)
    ]
    assert allowed == [(Action.SUBSCRIBE, b"mine"), (Action.PUBLISH, b"out/1")]


def test_a_role_of_nothing_allows_nothing() -> None:
    permission = Topic(role=pb.TopicPermitNone, all_caches=ALL, all_topics=ALL)
    assert not any(access_of(topics(permission)).allows(action, "c", b"t") for action in Action)


def test_permissions_for_topics_and_items_are_separate() -> None:
    of_topics = access_of(topics(Topic(role=pb.TopicReadWrite, all_caches=ALL, all_topics=ALL)))
    of_items = access_of(items(Item(role=pb.CacheReadWrite, all_caches=ALL)))
    assert [action for action in Action if of_topics.allows(action, "c", b"n")] == [Action.SUBSCRIBE, Action.PUBLISH]
    assert [action for action in Action if of_items.allows(action, "c", b"n")] == [
        Action.READ,
        Action.WRITE,
        Action.CONDITIONAL_WRITE,
    ]


def test_an_api_key_permits_everything() -> None:
    assert all(Access(everything=True).allows(action, "any", b"name") for action in Action)


def test_no_rules_allow_nothing() -> None:
    assert not any(Access().allows(action, "any", b"name") for action in Action)


UNUSABLE = [
    pytest.param(pb.Permissions(), id="none"),
    pytest.param(pb.Permissions(super_user=pb.SuperUser), id="super user"),
    pytest.param(topics(), id="an empty list"),
    pytest.param(topics(*[Topic(all_caches=ALL, all_topics=ALL)] * (MAX_PERMISSIONS + 1)), id="too many"),
    pytest.param(topics(Topic(role=pb.TopicReadOnly, all_topics=ALL)), id="no cache selected"),
    pytest.param(topics(Topic(role=pb.TopicReadOnly, all_caches=ALL)), id="no topic selected"),
    pytest.param(
        topics(Topic(cache_selector=pb.PermissionsType.CacheSelector(), all_topics=ALL)), id="an empty cache selector"
    ),
    pytest.param(
        items(Item(all_caches=ALL, item_selector=pb.PermissionsType.CacheItemSelector())), id="an empty item selector"
    ),
    pytest.param(
        pb.Permissions(explicit=pb.ExplicitPermissions(permissions=[pb.PermissionsType()])), id="an empty one"
    ),
]


@pytest.mark.parametrize("permissions", UNUSABLE)
def test_permissions_that_no_token_can_have_are_rejected(permissions: pb.Permissions) -> None:
    with pytest.raises(ValueError, match=r"permission|selector"):
        access_of(permissions)


@given(prefix=st.text(max_size=8), name=st.text(max_size=12))
def test_a_prefix_selects_the_names_that_begin_with_it(prefix: str, name: str) -> None:
    access = access_of(topics(Topic(role=pb.TopicReadOnly, cache_selector=CACHE, topic_selector=prefixed(prefix))))
    assert access.allows(Action.SUBSCRIBE, "c", name.encode()) is name.startswith(prefix)
    assert not access.allows(Action.SUBSCRIBE, "other", name.encode())


@given(permitted=st.binary(max_size=8), asked=st.binary(max_size=8))
def test_a_key_selects_only_itself(permitted: bytes, asked: bytes) -> None:
    selector = pb.PermissionsType.CacheItemSelector(key=permitted)
    access = access_of(items(Item(role=pb.CacheReadOnly, cache_selector=CACHE, item_selector=selector)))
    assert access.allows(Action.READ, "c", asked) is (permitted == asked)
