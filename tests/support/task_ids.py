"""Task ids of every kind, of any age."""

import uuid


def uuid7(created_ms: int, random_bits: int = 1) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7)."""
    value = created_ms << 80 | 7 << 76 | (random_bits >> 62) << 64 | 2 << 62 | random_bits & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def uuid5(name: str = "task") -> str:
    """Return a UUIDv5, as for an Idempotency-Key."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))
