"""The tarball: what it contains, how it resolves, and how much an application downloads of it."""

import tarfile
from pathlib import Path

import pytest

from tests.support.requirements import CLIENT
from tests.support.vite_app import run

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


def members(tarball: Path) -> set[str]:
    with tarfile.open(tarball) as archive:
        return {name.removeprefix("package/") for name in archive.getnames()}


async def test_the_tarball_has_the_built_entries_the_licence_and_no_sources(client_tarball: Path) -> None:
    entries = {f"dist/{name}.{kind}" for name in ("index", "react", "vue") for kind in ("js", "d.ts")}
    found = members(client_tarball)
    assert entries | {"package.json", "README.md", "dist/LICENSE"} <= found
    assert [name for name in found if name.startswith("src") or "test" in name] == []


async def test_the_react_entry_is_marked_as_a_client_component(client_tarball: Path) -> None:
    with tarfile.open(client_tarball) as archive:
        file = archive.extractfile("package/dist/react.js")
        assert file is not None
        assert file.read().startswith(b'"use client";')


async def test_entries_and_types_resolve_as_package_json_says() -> None:
    """publint and arethetypeswrong exit with another status otherwise."""
    await run("npm", "run", "check-package", folder=CLIENT)


async def test_the_package_stays_within_its_size_limits() -> None:
    """Without the Momento SDK, which is loaded only where it is needed."""
    await run("npm", "run", "size", folder=CLIENT)
