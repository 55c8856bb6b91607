"""kill -9: whatever the moment, a class is there whole or not at all, and what was acknowledged is there."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from lerenet.support import SqliteStore, SupportClass, verify_store
from support.classes import record

PROGRAM = Path(__file__).with_name("killed.py")
TESTS = str(PROGRAM.parent.parent)


def program(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([TESTS, *sys.path])}
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def run_until_killed(root: Path, seed: int, run_s: float) -> list[list[str]]:
    """What the program said until it was killed, `run_s` after its first finished write."""
    with program("endlessly", str(root), str(seed)) as process:
        assert process.stdout is not None
        first = [process.stdout.readline(), process.stdout.readline()]
        time.sleep(run_s)
        process.kill()
        said = [*first, *process.stdout]
    # a line that the kill cut short was not heard
    return [line.split() for line in said if line.endswith("\n")]


def follow(said: list[list[str]], state: dict[str, str]) -> str | None:
    """Apply what was acknowledged to `state`; the name whose write was cut off, if any."""
    for word, name, *revision in said:
        if word == "done":
            state[name] = revision[0]
    return said[-1][1] if said[-1][0] == "begun" else None


def assert_whole(store: SqliteStore, made: SupportClass) -> None:
    for sha256 in made.blobs:
        store.read_blob(sha256)


@pytest.mark.parametrize("seed", [1, 2])
def test_store_holds_whole_acknowledged_classes_when_killed_at_random_moments(root: Path, seed: int) -> None:
    draw = Random(seed)
    acknowledged: dict[str, str] = {}
    for life in range(4):
        cut_off = follow(run_until_killed(root, 10 * seed + life, draw.uniform(0.05, 0.5)), acknowledged)
        store = SqliteStore(root)
        report = store.verify()
        pointers = store.pointers()[1]
        for name in pointers:
            found = store.current(name)
            assert found is not None
            assert_whole(store, found)
        store.close()
        assert report.is_clean, report
        expected = {name: revision for name, revision in acknowledged.items() if revision != "-"}
        differing = {name for name, _ in pointers.items() ^ expected.items()}
        assert differing <= {cut_off}
        acknowledged |= {name: pointers.get(name, "-") for name in differing}
    assert len(acknowledged) > 3


REVISIONS = {seeds: record("a", *seeds)[0].revision for seeds in [(1,), (1, 2), (2, 3), (102,)]}
BEFORE = {"a": REVISIONS[1, 2]}
OUTCOMES = {
    "create": (BEFORE, {**BEFORE, "b": REVISIONS[2, 3]}),
    "replace": (BEFORE, {"a": REVISIONS[2, 3]}),
    "return": (BEFORE, {"a": REVISIONS[1,]}),
    "prune": ({"a": REVISIONS[102,]}, {"a": REVISIONS[2, 3]}),
    "delete": (BEFORE, {}),
}


@pytest.mark.parametrize("verb", OUTCOMES)
def test_write_is_whole_or_absent_when_killed_at_any_step(root: Path, verb: str) -> None:
    root.mkdir()
    with program("step", verb, str(root)) as process:
        assert process.wait() == 0
    lives = sorted(root.iterdir(), key=lambda path: int(path.name))
    seen = []
    for life in lives:
        store = SqliteStore(life)
        pointers = store.pointers()[1]
        report = store.verify()
        store.close()
        assert report.is_clean, (life.name, report)
        seen.append(pointers)
    before, after = OUTCOMES[verb]
    assert len(lives) > 20
    # killed early: as it was; later: as it should be; and no way back
    assert seen == sorted(seen, key=lambda pointers: pointers == after)
    assert all(pointers in (before, after) for pointers in seen)
    assert seen[0] == before
    assert seen[-1] == after


@pytest.mark.parametrize("verb", ["create", "replace", "return"])
def test_index_lost_in_the_crash_is_restored_to_either_state(root: Path, verb: str) -> None:
    root.mkdir()
    with program("step", verb, str(root)) as process:
        assert process.wait() == 0
    for life in root.iterdir():
        (life / "index.sqlite3").unlink()
        report = verify_store(life, rebuild=True)
        assert not report.problems, (life.name, report)
        store = SqliteStore(life)
        assert store.pointers()[1] in OUTCOMES[verb]
        assert store.verify().is_clean
        store.close()


def test_processes_share_a_folder(root: Path) -> None:
    processes = [program("together", str(root), str(who)) for who in range(1, 4)]
    said = [process.communicate()[0].strip() for process in processes]
    assert sorted(said) == ["False", "False", "True"]
    store = SqliteStore(root)
    assert store.count() == 31
    assert store.verify().is_clean
    store.close()
