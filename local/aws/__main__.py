"""`python -m local.aws`: MiniStack behind `local.aws.guard`. Its settings are those of MiniStack and of WebAccess."""

import os
import sys

import ministack.app
from ministack.core import iam_evaluator

from local.aws.guard import Guard
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


def main() -> None:
    verify_signatures_of_root_keys()
    try:
        access = WebAccess.from_environment(os.environ)
    except LocalError as error:
        sys.exit(f"Emulated AWS: {error}")
    ministack.app.app = Guard(ministack.app.app, access, os.environ["AWS_SECRET_ACCESS_KEY"])
    ministack.app.main()


if __name__ == "__main__":
    main()
