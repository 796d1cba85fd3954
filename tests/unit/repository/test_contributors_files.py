"""The files for contributors agree with the project's own tools."""

import json
import re
import shutil
import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from local.plan import ROOT

HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]


def test_the_editors_line_length_is_that_of_the_formatters() -> None:
    config = ConfigParser()
    config.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]
    prettier = json.loads((ROOT / ".prettierrc.json").read_text())["printWidth"]
    assert config["*"]["max_line_length"] == str(ruff) == str(prettier)


@pytest.mark.parametrize("hook", HOOKS[0]["hooks"], ids=lambda hook: hook["id"])
def test_a_hook_runs_a_tool_of_the_project(hook: dict[str, Any]) -> None:
    program, *arguments = hook["entry"].split()
    assert shutil.which(ROOT / program) or program == "npx"
    assert all((ROOT / each).exists() for each in arguments if "/" in each)


def test_no_hook_is_fetched_from_elsewhere() -> None:
    assert [repository["repo"] for repository in HOOKS] == ["local"]


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.stem)
def test_a_form_is_complete(form: Path) -> None:
    content = yaml.safe_load(form.read_text())
    if form.stem == "config":
        return
    assert {"name", "description", "body"} <= set(content)
    ids = [part["id"] for part in content["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids)) > 0


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "README.md", ".github/pull_request_template.md"])
def test_every_target_that_is_named_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {"token"}
    commands = re.findall(r"`make ([a-z -]+)`|^make ([a-z-]+)|\$\(make -s ([a-z]+)\)", (ROOT / name).read_text(), re.M)
    named = {word for found in commands for word in " ".join(found).split()}
    assert named
    assert named - targets == set()
