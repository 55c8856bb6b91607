"""What is installed and what is loaded: hashed locks, and files that can hold no code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = [ROOT / "docker/serve.lock", ROOT / "docker/build.lock"]
PACKAGE = ROOT / "service/lerenet"
BESIDE_SERVING = {"training/checkpoint.py", "network/paper/pretrained.py"}
"""Where torch files are read, by `weights_only`: checkpoints of one's own runs, and ImageNet backbones."""
BETWEEN_OWN_PROCESSES = {"edge/wire.py", "edge/process.py"}
"""What core and edges send each other, over a socket pair and a pipe that nobody else can write to."""


def pinned(lock: Path) -> dict[str, str]:
    """What a lock says of each package, its hashes included."""
    blocks = re.findall(r"^([a-z0-9][^\n]*(?:\n[ ]+[^\n]*)*)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(block.split("==")[0]): block for block in blocks}


def in_the_image(project: dict[str, Any]) -> list[str]:
    extras = project["optional-dependencies"]
    return [*project["dependencies"], *(line for extra in ("serve", "otel", "postgres") for line in extras[extra])]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_locked_package_has_its_release_and_hashes(lock: Path) -> None:
    assert pinned(lock)
    for block in pinned(lock).values():
        assert re.match(r"[a-z0-9-]+==[^\s;]+ ", block)
        assert "--hash=sha256:" in block


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_place(lock: Path) -> None:
    assert not re.search(r"://|/|--(?:index|extra|find)", re.sub("#.*", "", lock.read_text(encoding="utf-8")))


def test_what_the_service_asks_for_is_locked_but_for_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [Requirement(line) for line in in_the_image(project)]
    names = {canonicalize_name(each.name) for each in asked} - {"lerenet"}

    assert names - pinned(LOCKS[0]).keys() == {"torch"}
    assert not [name for name in pinned(LOCKS[0]) if re.match("torch|triton|nvidia-|cuda-", name)]


def test_what_is_locked_is_what_is_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = pinned(LOCKS[0])

    for line in in_the_image(project):
        asked = Requirement(line)
        name = canonicalize_name(asked.name)
        if name in locked:
            release = re.match(r"[^=]+==(\S+)", locked[name])
            assert release
            assert asked.specifier.contains(release[1], prereleases=True), line


def test_files_that_could_hold_code_are_read_nowhere_on_the_way_of_a_request() -> None:
    reading = re.compile(
        r"\btorch\.load\(|\bpickle\.loads?\(|\bmarshal\.|\bjoblib\.|allow_pickle=True|yaml\.(?:unsafe_)?load\("
    )
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        if reading.search(path.read_text(encoding="utf-8"))
    }

    assert found == BESIDE_SERVING | BETWEEN_OWN_PROCESSES
    for name in BESIDE_SERVING:
        assert "weights_only=True" in (PACKAGE / name).read_text(encoding="utf-8")
