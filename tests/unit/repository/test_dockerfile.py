"""What the Dockerfile and its context promise, as far as that can be read off without a build."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def stages() -> dict[str, str]:
    """The text of each stage by its name; the last one's name is empty."""
    parts = re.split(r"^FROM (\S+)(?: AS (\S+))?$", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {name or "": f"FROM {base}\n{text}" for base, name, text in zip(*[iter(parts)] * 3, strict=True)}


def test_a_build_without_a_target_is_the_product() -> None:
    assert list(stages())[-1] == ""
    assert stages()[""].startswith("FROM runtime\n")


def test_the_embedded_stack_is_not_in_the_product() -> None:
    product = stages()["runtime"] + stages()["build"] + stages()["base"]
    assert "requirements-local.lock" not in product
    assert not re.search(r"COPY .*\b(local|frontend)\b", product)


def test_every_install_requires_hashes() -> None:
    installs = re.findall(r"pip --python \S+ install[^&]*?-r \S+", DOCKERFILE)
    assert len(installs) == 2
    assert all("--require-hashes" in each and "--no-deps" in each for each in installs)


def test_the_images_python_is_tested() -> None:
    (version,) = re.findall(r"^ARG PYTHON_IMAGE=\S+/python:(\d+\.\d+)-", DOCKERFILE, flags=re.MULTILINE)
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = [each.rpartition(" ")[2] for each in classifiers]
    (tested,) = re.findall(r"^PYTHONS \?= (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert version in tested.split()
    assert named == ["3.11", *tested.split()]
    assert "make test-pythons" in (ROOT / ".ci" / "run").read_text()


def test_the_user_is_a_number_that_is_not_root() -> None:
    (user,) = re.findall(r"^USER (\S+)$", stages()["runtime"], flags=re.MULTILINE)
    assert all(part.isdigit() and int(part) > 10_000 for part in user.split(":"))


def test_the_context_holds_only_what_is_named() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert allowed == {
        *("LICENSE", "requirements.lock", "requirements-local.lock"),
        *("services", "k8s", "sdk", "sdk/python", "local", "frontend", "frontend/package.json", "frontend/dist"),
    }
