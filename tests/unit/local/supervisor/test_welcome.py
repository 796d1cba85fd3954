"""What `make up` prints works in the shell of a developer who is signed in to AWS."""

import os
import subprocess

from local.aws.key_pair import KeyPair
from local.ports import Ports
from local.supervisor.welcome import welcome

KEYS = KeyPair("LOCALKEY", "the-secret-of-this-run")
SIGNED_IN = {"AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "of-another-key", "AWS_REGION": "eu-west-1"}


def test_the_printed_lines_replace_the_credentials_of_the_shell() -> None:
    printed = welcome(Ports(18_080), KEYS, 1.0)
    lines = [line.strip() for line in printed.splitlines() if line.startswith(("  export ", "  unset "))]
    shell = "\n".join([*lines, "env"])
    shown = subprocess.run(
        ["sh", "-c", shell], env={**SIGNED_IN, "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True
    ).stdout
    assert {line for line in shown.splitlines() if line.startswith("AWS_")} == {
        "AWS_ENDPOINT_URL=http://127.0.0.1:14566",
        "AWS_REGION=us-east-1",
        "AWS_DEFAULT_REGION=us-east-1",
        "AWS_ACCESS_KEY_ID=LOCALKEY",
        "AWS_SECRET_ACCESS_KEY=the-secret-of-this-run",
    }
