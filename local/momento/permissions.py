"""What a credential permits: permissions in their wire form are turned into rules, which permit an action or not.

Meaning of the roles: permissionmessages.proto of momentohq/client-protos.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from momento_wire_types import permissionmessages_pb2 as pb

# docs.momentohq.com/cache/manage/limits: "Permissions per API key or token (hard limit)".
MAX_PERMISSIONS = 10


class Action(Enum):
    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    READ = "read"
    WRITE = "write"
    # The response says whether a value existed, so "write only" does not permit it (comment on CacheWriteOnly).
    CONDITIONAL_WRITE = "conditional write"


_TOPIC_ROLES = {
    pb.TopicReadWrite: frozenset({Action.SUBSCRIBE, Action.PUBLISH}),
    pb.TopicReadOnly: frozenset({Action.SUBSCRIBE}),
    pb.TopicWriteOnly: frozenset({Action.PUBLISH}),
}
_CACHE_ROLES = {
    pb.CacheReadWrite: frozenset({Action.READ, Action.WRITE, Action.CONDITIONAL_WRITE}),
    pb.CacheReadOnly: frozenset({Action.READ}),
    pb.CacheWriteOnly: frozenset({Action.WRITE}),
}


@dataclass(frozen=True, slots=True)
class Selector:
    """Everything (neither is set), one name, or all names with a prefix."""

    name: bytes | None = None
    prefix: bytes | None = None

    def selects(self, name: bytes) -> bool:
        if self.name is not None:
            return name == self.name
        return self.prefix is None or name.startswith(self.prefix)


_ALL = Selector()


@dataclass(frozen=True, slots=True)
class Rule:
    """Actions allowed on names (topics or item keys) in caches."""

    actions: frozenset[Action]
    caches: Selector
    names: Selector


@dataclass(frozen=True, slots=True)
class Access:
    """What a credential permits. `everything` is for API keys and includes the control plane."""

    rules: tuple[Rule, ...] = ()
    everything: bool = False

    def allows(self, action: Action, cache: str, name: bytes) -> bool:
        return self.everything or any(
            action in rule.actions and rule.caches.selects(cache.encode()) and rule.names.selects(name)
            for rule in self.rules
        )


def access_of(permissions: pb.Permissions) -> Access:
    """Return the access that a disposable token's permissions grant.

    :raises ValueError: for permissions that no disposable token can have; the message is the reason.
    """
    if permissions.WhichOneof("kind") != "explicit":
        raise ValueError("a disposable token needs explicit permissions")
    granted = permissions.explicit.permissions
    if not 1 <= len(granted) <= MAX_PERMISSIONS:
        raise ValueError(f"a disposable token needs 1 to {MAX_PERMISSIONS} permissions")
    return Access(tuple(rule for each in granted for rule in _rules(each)))


def _rules(permission: pb.PermissionsType) -> Iterator[Rule]:
    kind = permission.WhichOneof("kind")
    if kind == "topic_permissions":
        topics = permission.topic_permissions
        yield Rule(_TOPIC_ROLES.get(topics.role, frozenset()), _caches(topics), _topics(topics))
    elif kind == "cache_permissions":
        items = permission.cache_permissions
        yield Rule(_CACHE_ROLES.get(items.role, frozenset()), _caches(items), _items(items))
    else:
        raise ValueError("only topic and cache permissions are supported")


def _caches(permission: pb.PermissionsType.TopicPermissions | pb.PermissionsType.CachePermissions) -> Selector:
    kind = permission.WhichOneof("cache")
    if kind == "all_caches":
        return _ALL
    if kind == "cache_selector" and permission.cache_selector.cache_name:
        return Selector(name=permission.cache_selector.cache_name.encode())
    raise ValueError("a permission must select its caches")


def _topics(permission: pb.PermissionsType.TopicPermissions) -> Selector:
    if permission.WhichOneof("topic") == "all_topics":
        return _ALL
    selector = permission.topic_selector
    kind = selector.WhichOneof("kind")
    if kind == "topic_name":
        return Selector(name=selector.topic_name.encode())
    if kind == "topic_name_prefix":
        return Selector(prefix=selector.topic_name_prefix.encode())
    raise ValueError("a topic permission must select its topics")


def _items(permission: pb.PermissionsType.CachePermissions) -> Selector:
    # The SDK's `cache_read_only` and similar leave the items unset, which means all of them.
    if permission.WhichOneof("cache_item") != "item_selector":
        return _ALL
    selector = permission.item_selector
    kind = selector.WhichOneof("kind")
    if kind == "key":
        return Selector(name=selector.key)
    if kind == "key_prefix":
        return Selector(prefix=selector.key_prefix)
    raise ValueError("an item selector must name a key or a prefix")
