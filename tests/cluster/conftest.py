"""Tests on the cluster that KUBECONFIG names.

The images must be in the cluster: IMAGE and IMAGE_TAG name them (default: as `make image` does). The cluster must
enforce NetworkPolicies; test_network_policies.py fails where it does not.
"""

from collections.abc import Iterator

import pytest

from tests.support.cluster.stages import InstalledStages, installed_stages


@pytest.fixture(scope="session")
def stages() -> Iterator[InstalledStages]:
    with installed_stages() as installed:
        yield installed
