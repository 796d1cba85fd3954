"""The key pair of the emulated AWS: another one in each run, so that no web site can know it."""

import secrets
from dataclasses import dataclass, field
from typing import Self


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An access key; it opens the emulated AWS of one run and nothing else."""

    access_key_id: str
    secret_access_key: str = field(repr=False)

    @classmethod
    def random(cls) -> Self:
        return cls(f"LOCAL{secrets.token_hex(8).upper()}", secrets.token_hex(20))
