"""How a stage's user pool is set, and which settings of a person are as good or better (docs/operator.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SAFE_RECOVERY = {"verified_email", "admin_only"}


@dataclass(frozen=True)
class UserPoolSettings:
    """What may be chosen: whether the pool is protected against deletion, and how long a password must be.

    `deletion_protection=False` does not ask for protection. It never switches off one that is on.
    """

    deletion_protection: bool = False
    password_min_characters: int = 12

    def at_creation(self) -> dict[str, object]:
        """All settings, with those that can never be changed: e-mail as user name, in any case of letters."""
        return {
            "Policies": {"PasswordPolicy": self._password_policy()},
            "AutoVerifiedAttributes": ["email"],
            "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
            "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
            "DeletionProtection": "ACTIVE" if self.deletion_protection else "INACTIVE",
            "UsernameAttributes": ["email"],
            "UsernameConfiguration": {"CaseSensitive": False},
        }

    def drift(self, actual: Mapping[str, Any]) -> dict[str, object]:
        """What has to be written to a pool with these settings: only what is weaker than ours, or breaks sign-in."""
        drift: dict[str, object] = {}
        policy = actual.get("Policies", {}).get("PasswordPolicy", {})
        weaker = {key: value for key, value in self._password_policy().items() if not _as_strict(value, policy, key)}
        if weaker:
            drift["Policies"] = {"PasswordPolicy": weaker}
        verified = actual.get("AutoVerifiedAttributes", [])
        if "email" not in verified:
            drift["AutoVerifiedAttributes"] = [*verified, "email"]
        mechanisms = actual.get("AccountRecoverySetting", {}).get("RecoveryMechanisms", [])
        if not mechanisms or not {each["Name"] for each in mechanisms} <= _SAFE_RECOVERY:
            drift["AccountRecoverySetting"] = self.at_creation()["AccountRecoverySetting"]
        updates = actual.get("UserAttributeUpdateSettings", {}).get("AttributesRequireVerificationBeforeUpdate", [])
        if "email" not in updates:
            drift["UserAttributeUpdateSettings"] = {"AttributesRequireVerificationBeforeUpdate": [*updates, "email"]}
        if self.deletion_protection and actual.get("DeletionProtection") != "ACTIVE":
            drift["DeletionProtection"] = "ACTIVE"
        return drift

    def _password_policy(self) -> dict[str, int]:
        return {
            "MinimumLength": self.password_min_characters,
            "RequireUppercase": True,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": False,  # length over classes, NIST SP 800-63B 5.1.1.2
            "TemporaryPasswordValidityDays": 7,
        }


def _as_strict(wanted: int, policy: Mapping[str, Any], key: str) -> bool:
    actual = policy.get(key, 0)
    if key == "TemporaryPasswordValidityDays":
        return bool(0 < actual <= wanted)
    return bool(actual >= wanted)  # a length, or whether a class of characters is required
