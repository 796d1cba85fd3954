"""The Python package of the repository."""

import tomllib
from typing import Any

from local.plan import ROOT


def project(folder: str) -> dict[str, Any]:
    described: dict[str, Any] = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]
    return described


def test_its_version_and_its_pythons_are_those_of_the_repository() -> None:
    package, repository = project("sdk/python"), project("")
    assert package["version"] == repository["version"]
    assert package["requires-python"] == repository["requires-python"]


def test_handlers_need_no_dependency() -> None:
    assert project("sdk/python")["dependencies"] == []
