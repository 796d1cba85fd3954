"""`python -m k8s.operator.uninstall_check`: fails while Stages exist that the operator has to remove.

Helm runs it before it uninstalls the operator. A Stage keeps its finalizer until an operator has removed its resources.
Without an operator the Stage, its namespace, its queues and its user pool would remain.
"""

import asyncio
import os
import sys
from collections.abc import Sequence

from k8s.operator.api.client import Json, Kubernetes
from k8s.operator.api.stage import GROUP, PLURAL, VERSION
from notification_api import PermanentError, TransientError

EXIT_PASSED, EXIT_REFUSED, EXIT_UNKNOWN = 0, 1, 3
CHECK_SECONDS = 60.0
_MAX_LISTED = 20
_FORCE = "To uninstall the operator anyway: helm uninstall with --no-hooks."


def refusal(stages: Sequence[Json], namespaces: Sequence[str]) -> str | None:
    """Return why the uninstall is refused; None when no Stage is left.

    :param namespaces: namespaces that this operator manages; empty for all.
    """
    names = [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in stages]
    ours = sorted(name for name in names if not namespaces or name[0] in namespaces)
    if not ours:
        return None
    listed = [f"  helm uninstall {name} -n {namespace}" for namespace, name in ours[:_MAX_LISTED]]
    more = [f"  and {len(ours) - _MAX_LISTED} more: kubectl get stages -A"] if len(ours) > _MAX_LISTED else []
    lines = [
        f"{len(ours)} Stage(s) exist. Without the operator, nothing removes them and their resources.",
        "Uninstall their releases first, and wait until `kubectl get stages -A` lists none of them:",
        *listed,
        *more,
        _FORCE,
    ]
    return "\n".join(lines)


async def check(kubernetes: Kubernetes, namespaces: Sequence[str]) -> str | None:
    """Return the `refusal` for the Stages that exist now. A cluster without the CRD has none."""
    listed = await kubernetes.get(f"/apis/{GROUP}/{VERSION}/{PLURAL}")
    return refusal((listed or {}).get("items") or [], namespaces)


async def run(namespaces: Sequence[str]) -> int:
    """Check and print the result. Returns the exit status."""
    try:
        async with asyncio.timeout(CHECK_SECONDS), Kubernetes() as kubernetes:
            reason = await check(kubernetes, namespaces)
    except (PermanentError, TransientError, TimeoutError, OSError) as error:
        why = str(error) or f"no answer within {CHECK_SECONDS:.0f} s"
        sys.stderr.write(f"The Stages cannot be listed: {why}\n{_FORCE}\n")
        return EXIT_UNKNOWN
    if reason:
        sys.stderr.write(f"{reason}\n")
    return EXIT_REFUSED if reason else EXIT_PASSED


if __name__ == "__main__":
    watched = os.environ.get("WATCH_NAMESPACES", "").split(",")
    sys.exit(asyncio.run(run([name.strip() for name in watched if name.strip()])))
