"""Errors of a stage's resources, beside `PermanentError` of `notification_api`."""

from notification_api import PermanentError, TransientError


class ResourceUnavailable(TransientError):
    """The same reconcile may succeed later, but not before `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotFoundError(PermanentError):
    """The resource does not exist. Expected on reads and deletions; elsewhere a given name is wrong."""


class NotOwnedError(PermanentError):
    """A resource with the stage's name exists and does not belong to the stage. It is never changed."""

    def __init__(self, resource: str, setting: str, owner: str | None = None) -> None:
        """Say what a person can do.

        :param resource: how a person finds it, such as `queue shop-dev-tasks`.
        :param setting: the Stage field that names an existing resource to use instead, such as `queue.url`.
        :param owner: the Stage that the resource's tags name, with these tags. Such a resource is not adopted either.
        """
        given = f"name it in {setting}, then it is used and never changed."
        if owner:
            super().__init__(
                f"{resource} belongs to {owner}. Delete that Stage; or, if it no longer exists and this one is to "
                f"adopt its resources, remove those tags "
                f"(docs/reference/operator.md, What belongs to a Stage); or {given}"
            )
        else:
            super().__init__(
                f"{resource} exists but does not belong to this stage. Delete or rename it, adopt it (adopt: true; "
                f"the stage then changes it, and deletes it at the end), or {given}"
            )
        self.resource = resource


class ProtectedError(PermanentError):
    """A resource is protected against deletion. Nothing of the stage is deleted until a person removes that."""
