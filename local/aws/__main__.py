"""`python -m local.aws`: MiniStack behind `local.aws.guard`. The settings are MiniStack's and those of WebAccess."""

import os
import sys

import ministack.app
from ministack.core import iam_evaluator

from local.aws.guard import Guard
from local.errors import LocalError
from local.web_access import WebAccess


def check_signatures_of_root_keys() -> None:
    """Make MiniStack check the signature of every key.

    With AUTH it checks those of IAM users only and takes its root keys (`test`, account numbers, AWS_ACCESS_KEY_ID) at
    their word. All of them have AWS_SECRET_ACCESS_KEY for their secret.
    """
    if not hasattr(iam_evaluator, "_is_root_key"):
        raise RuntimeError("This version of MiniStack decides elsewhere whose signature it checks.")
    iam_evaluator._is_root_key = lambda _key_id: False


def main() -> None:
    check_signatures_of_root_keys()
    try:
        access = WebAccess.from_environment(os.environ)
    except LocalError as error:
        sys.exit(f"Emulated AWS: {error}")
    ministack.app.app = Guard(ministack.app.app, access, os.environ["AWS_SECRET_ACCESS_KEY"])
    ministack.app.main()


if __name__ == "__main__":
    main()
