"""What can go wrong with a stage's resources, as types that say what the caller should do."""

from services.common import errors as common


class ResourceUnavailable(common.Transient):
    """A resource cannot be read or changed now: reconcile again, not before `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Permanent(common.PermanentError):
    """It will not work until somebody changes something; the message says what."""


class NotFound(Permanent):
    """The resource is not there. Expected while observing and removing; elsewhere a given name is wrong."""


class NotOurs(Permanent):
    """A resource of our name exists and is not this stage's: it was not touched, and will not be."""

    def __init__(self, resource: str, give: str, owner: str | None = None) -> None:
        """`resource` as a person would look it up; `give` names the setting that takes it as given.

        :param owner: the Stage that its tags name, with these tags. Not even adoption takes from it.
        """
        given = f"give it ({give}; it is then only used)."
        if owner:
            super().__init__(
                f"{resource} belongs to {owner}. Delete that Stage; or, if it no longer exists and this one is to "
                f"adopt what it left, remove those tags (docs/operator.md, What belongs to a Stage); or {given}"
            )
        else:
            super().__init__(
                f"{resource} exists but does not belong to this stage. Remove or rename it, adopt it (adopt: true; "
                f"the stage then changes it, and deletes it at the end), or {given}"
            )
        self.resource = resource


class Protected(Permanent):
    """A resource is protected against deletion: nothing of the stage is deleted until a person decides."""
