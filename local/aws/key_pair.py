"""The key pair of the emulated AWS. Each run has a new one, so that no web site can know it."""

import secrets
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key of the emulated AWS of one run."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        return cls(f"LOCAL{secrets.token_hex(8).upper()}", secrets.token_hex(20))
