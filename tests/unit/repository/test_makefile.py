"""The logic of the Makefile and CI, with stubs of the tools."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
NEEDED = ("bash", "sh", "make", "sed", "find", "grep", "tr")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of programs without Node."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        where = shutil.which(name)
        assert where is not None
        (folder / name).symlink_to(where)
    return folder


def node(tools: Path) -> None:
    """Stand-ins for a Node that is new enough and an npm that can do nothing."""
    for name, status in (("node", 0), ("npm", 1)):
        (tools / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tools / name).chmod(0o755)


def make(tools: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run(["make", *arguments], ROOT, {"PATH": str(tools)})


def run(command: list[str], folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=50)


def test_without_node_one_line_reports_that_the_application_is_left_out(tools: Path) -> None:
    made = make(tools, "page-if-possible", "PAGE=not-there")
    assert made.returncode == 0
    assert made.stdout == "Left out: the application. It needs Node 20.19 or newer (https://nodejs.org).\n"
    assert made.stderr == ""


def test_an_application_that_was_built_elsewhere_is_unchanged(tools: Path, tmp_path: Path) -> None:
    built = tmp_path / "index.html"
    built.touch()
    made = make(tools, "page-if-possible", f"PAGE={built}")
    assert (made.returncode, made.stdout) == (0, "")


def test_the_system_starts_without_an_application_that_cannot_be_built(tools: Path) -> None:
    node(tools)
    made = make(tools, "page-if-possible", "PAGE_MODULES=not-there", "PAGE=not-there-either")
    assert made.returncode == 0
    assert "The application could not be built (see above); the rest starts." in made.stdout


def test_packing_the_client_installs_only_its_own_packages_and_keeps_the_others(tools: Path, tmp_path: Path) -> None:
    node(tools)
    (tools / "npm").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/npm.log\n')
    (tools / "touch").symlink_to(shutil.which("touch") or "")
    files = {"CLIENT_MODULES": "client", "NODE_MODULES": "all", "CLIENT_PACKAGE": "client.tgz"}
    made = make(tools, "client-package", *(f"{name}={tmp_path / file}" for name, file in files.items()))
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "npm.log").read_text().splitlines() == [
        "install --no-save --workspace sdk/javascript --include-workspace-root=false",
        "pack --silent --workspace sdk/javascript --pack-destination sdk/javascript",
    ]


def lint(tools: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """`make lint` with stubs of Python's tools."""
    (folder / "bin").mkdir(parents=True)
    for name in ("ruff", "mypy", "lint-imports", "codespell", "python"):
        (folder / "bin" / name).symlink_to("/bin/true")
    ready = folder / ".ready"
    ready.touch()
    return make(tools, "lint", f"VENV={folder}", f"READY={ready}", "NODE_MODULES=not-there")


def test_without_node_lint_reports_that_the_application_is_left_out(tools: Path, tmp_path: Path) -> None:
    linted = lint(tools, tmp_path / "venv")
    assert linted.returncode == 0
    assert "Left out: the application's lint. It needs Node 20.19 or newer." in linted.stdout


def test_lint_fails_where_the_application_cannot_be_linted(tools: Path, tmp_path: Path) -> None:
    node(tools)
    linted = lint(tools, tmp_path / "venv")
    assert linted.returncode != 0
    assert "Left out" not in linted.stdout


FLAKY = """
import pathlib

def test_flaky():
    seen = pathlib.Path("seen")
    if not seen.exists():
        seen.touch()
        raise AssertionError

def test_good():
    pass
"""
BROKEN = "def test_broken():\n    raise AssertionError\n"


def second_try(folder: Path, text: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    (folder / "test_it.py").write_text(text)
    command = [str(ROOT / ".ci/pytest"), sys.executable]
    path = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    return run(command, folder, {**path, **environment})


def passed_at_the_second_try(folder: Path) -> list[str]:
    listed = folder / ".pytest_cache/second-try"
    return listed.read_text().splitlines() if listed.exists() else []


def test_in_ci_a_test_that_passes_at_the_second_try_passes_and_is_listed(tmp_path: Path) -> None:
    assert second_try(tmp_path, FLAKY, CI="true").returncode == 0
    assert passed_at_the_second_try(tmp_path) == ["test_it.py::test_flaky"]


def test_in_ci_a_test_that_fails_twice_fails(tmp_path: Path) -> None:
    ended = second_try(tmp_path, FLAKY + BROKEN, CI="true")
    assert ended.returncode == 1
    assert "Failed tests again, one at a time:" in ended.stdout
    assert passed_at_the_second_try(tmp_path) == []


def test_outside_ci_a_test_that_fails_once_fails(tmp_path: Path) -> None:
    ended = second_try(tmp_path, FLAKY)
    assert ended.returncode == 1
    assert "Once more" not in ended.stdout
