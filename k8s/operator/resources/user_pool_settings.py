"""How a stage's user pool is set."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UserPoolSettings:
    """What may be chosen: whether a pool with users may be deleted, and how long a password must be."""

    deletion_protection: bool = False
    password_min_characters: int = 12

    def kept(self) -> dict[str, object]:
        """The settings that are kept as they are; what else a pool has is left to its administrators."""
        policy = {
            "MinimumLength": self.password_min_characters,
            "RequireUppercase": True,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": False,  # length over classes, NIST SP 800-63B 5.1.1.2
            "TemporaryPasswordValidityDays": 7,
        }
        return {
            "Policies": {"PasswordPolicy": policy},
            "AutoVerifiedAttributes": ["email"],
            "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
            "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
            "DeletionProtection": "ACTIVE" if self.deletion_protection else "INACTIVE",
        }

    def at_creation(self) -> dict[str, object]:
        """All settings, with those that can never be changed: e-mail as user name, in any case of letters."""
        return self.kept() | {
            "UsernameAttributes": ["email"],
            "UsernameConfiguration": {"CaseSensitive": False},
        }
