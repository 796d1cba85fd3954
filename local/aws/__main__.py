"""`python -m local.aws`: MiniStack behind `local.aws.guard`. Its settings are those of MiniStack and of WebAccess."""

import os
import sys
from pathlib import Path

import ministack.app
from ministack.core import iam_evaluator, persistence

from local.aws.guard import Application, Guard
from local.aws.saver import Saver, forget_unreadable
from local.errors import LocalError
from local.web_access.access import WebAccess


def verify_signatures_of_root_keys() -> None:
    """Make MiniStack verify the signature of every key.

    With AUTH it verifies only those of IAM users, and accepts its root keys (`test`, account numbers,
    AWS_ACCESS_KEY_ID) without. The secret of all of them is AWS_SECRET_ACCESS_KEY.
    """
    if not hasattr(iam_evaluator, "_is_root_key"):
        raise RuntimeError("This version of MiniStack has no _is_root_key to replace.")
    iam_evaluator._is_root_key = lambda _key_id: False


def persistent(app: Application) -> Application:
    """Save the state while MiniStack runs, if it is to be kept (PERSIST_STATE=1)."""
    if not persistence.PERSIST_STATE:
        return app
    for service in forget_unreadable(Path(persistence.STATE_DIR)):
        print(f"The saved state of {service} cannot be read and is forgotten.", flush=True)  # noqa: T201 -- for the developer
    return Saver(app)


def main() -> None:
    verify_signatures_of_root_keys()
    try:
        access = WebAccess.from_environment(os.environ)
    except LocalError as error:
        sys.exit(f"Emulated AWS: {error}")
    app = persistent(ministack.app.app)
    ministack.app.app = Guard(app, access, os.environ["AWS_SECRET_ACCESS_KEY"])
    ministack.app.main()


if __name__ == "__main__":
    main()
