"""Tests on the cluster that KUBECONFIG names; without one, test_there.py says so in one line.

The images have to be there: IMAGE and IMAGE_TAG say which (default: as `make image` names them). The cluster has to
enforce NetworkPolicies: test_network_policies.py fails with a sentence where it does not.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster.stages import World, made_world
from tests.support.cluster.tools import why_no_cluster

_HERE = Path(__file__).parent
collect_ignore = [file.name for file in _HERE.glob("test_*.py") if file.name != "test_there.py" and why_no_cluster()]


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with made_world() as made:
        yield made
