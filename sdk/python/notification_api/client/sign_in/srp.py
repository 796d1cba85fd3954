"""Cognito's USER_SRP_AUTH: prove that a user knows the password without sending it (SRP-6a, RFC 5054).

Cognito differs from the RFC: the group is number 15 of RFC 3526 with g = 2, the hash is SHA-256, numbers are hashed as
the bytes of a signed integer, and the session key (HKDF, RFC 5869) signs a time stamp. The public libraries for it
depend on boto3 and requests.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime

from notification_api.client.errors import SrpError

GROUP = int(
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
    "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
    "49286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F83655D23DCA3AD961C62F356208552BB9ED529077096966D"
    "670C354E4ABC9804F1746C08CA18217C32905E462E36CE3BE39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF695581718"
    "3995497CEA956AE515D2261898FA051015728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7D"
    "B3970F85A6E1E4C7ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C"
    "BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF",
    16,
)
GENERATOR = 2
PRIVATE_BITS = 1024
KEY_BYTES = 16
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class SrpClient:
    """One sign-in of one user: send `public`, then `answer` the challenge."""

    def __init__(self, pool_id: str, password: str) -> None:
        self._pool_name = pool_id.partition("_")[2]
        self._password = password
        self._private = secrets.randbits(PRIVATE_BITS)
        self._public = pow(GENERATOR, self._private, GROUP)

    @property
    def public(self) -> str:
        """The parameter `SRP_A`, in hexadecimal."""
        return f"{self._public:x}"

    def answer(self, challenge: Mapping[str, str], now: datetime) -> dict[str, str]:
        """Compute the responses to a PASSWORD_VERIFIER challenge.

        :raises SrpError: when the challenge is not a valid one.
        """
        user, block = challenge["USER_ID_FOR_SRP"], base64.b64decode(challenge["SECRET_BLOCK"])
        stamp = timestamp(now)
        key = self._session_key(user, int(challenge["SALT"], 16), int(challenge["SRP_B"], 16))
        signed = self._pool_name.encode() + user.encode() + block + stamp.encode()
        return {
            "USERNAME": challenge.get("USERNAME", user),
            "TIMESTAMP": stamp,
            "PASSWORD_CLAIM_SECRET_BLOCK": challenge["SECRET_BLOCK"],
            "PASSWORD_CLAIM_SIGNATURE": base64.b64encode(hmac.digest(key, signed, "sha256")).decode(),
        }

    def _session_key(self, user: str, salt: int, server_public: int) -> bytes:
        scramble = _hashed(_signed(self._public) + _signed(server_public))
        if server_public % GROUP == 0 or scramble == 0:
            raise SrpError("Cognito's public number must not be 0")
        identity = hashlib.sha256(f"{self._pool_name}{user}:{self._password}".encode()).digest()
        secret = _hashed(_signed(salt) + identity)
        multiplier = _hashed(_signed(GROUP) + _signed(GENERATOR))
        base = server_public - multiplier * pow(GENERATOR, secret, GROUP)
        shared = pow(base, self._private + scramble * secret, GROUP)
        pseudorandom_key = hmac.digest(_signed(scramble), _signed(shared), "sha256")
        return hmac.digest(pseudorandom_key, b"Caldera Derived Key\x01", "sha256")[:KEY_BYTES]


def timestamp(now: datetime) -> str:
    """Format a time as Cognito expects it, in English whatever the locale: Sun Nov 2 09:05:00 UTC 2026."""
    utc = now.astimezone(UTC)
    return f"{_DAYS[utc.weekday()]} {_MONTHS[utc.month - 1]} {utc.day} {utc:%H:%M:%S} UTC {utc.year}"


def _signed(number: int) -> bytes:
    """Return the bytes of a signed integer, with a leading zero byte where the first bit is set."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _hashed(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest(), "big")
