"""Programs that tests of the store run in a process of their own, so that they can be killed.

killed.py endlessly ROOT SEED     registers, replaces and deletes classes until it is killed
killed.py step VERB ROOT          does one write again and again, killed before each step of it in turn
killed.py together ROOT WHO       registers classes in a folder that others write to as well
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from types import FrameType

from lerenet.support import ParameterChanges, SqliteStore, index
from support.classes import LIMITS, CountingNetwork, commit, open_registry, record, shots

FATAL_CALLS = {"execute", "fsync", "mkdir", "open", "replace", "rmdir", "unlink"}
"""Built-in functions before which a write may be killed: every SQL statement and every touch of a file."""


async def endlessly(root: Path, seed: int) -> None:
    """Says on stdout what it begins and what it has finished: `begun|done NAME REVISION|-`."""
    registry = open_registry(root, CountingNetwork())
    draw = Random(seed)
    names: list[str] = []
    for i in count():
        verb = draw.choice(["create", "create", "append", "patch", "delete"]) if names else "create"
        name = f"r{seed}-{i}" if verb == "create" else draw.choice(names)
        print("begun", name, flush=True)
        if verb == "delete":
            await registry.delete(name)
            names.remove(name)
            print("done", name, "-", flush=True)
            continue
        if verb == "create":
            change = await registry.create(name, shots(i, i + 1, i + 2))
            names.append(name)
        elif verb == "append":
            change = await registry.append(name, shots(10_000 + i))
        else:
            change = await registry.patch(name, ParameterChanges(description=str(i)))
        print("done", name, change.registered.record.revision, flush=True)


N_KEPT = 5
"""Revisions that the class to be pruned keeps."""


def prepare(root: Path, verb: str) -> Callable[[SqliteStore], bool]:
    """A folder with class `a` at its second revision, and the write that will be killed."""
    store = SqliteStore(root)
    current = commit(store, "a", 1, 2, expected=commit(store, "a", 1).revision)
    if verb == "prune":
        # of the twenty: each step is killed in a copy of all of them
        index.KEPT_REVISIONS = N_KEPT  # type: ignore[attr-defined]
        for i in range(N_KEPT - 2):
            current = commit(store, "a", 100 + i, expected=current.revision)
    store.close()
    made, added = record("b" if verb == "create" else "a", *([1] if verb == "return" else [2, 3]))
    if verb == "delete":
        return lambda store: store.delete("a", expected=current.revision)
    expected = None if verb == "create" else current.revision
    return lambda store: store.commit(made, added.blobs, expected=expected, limits=LIMITS)


def step(verb: str, folder: Path) -> None:
    """Writes into FOLDER/1, FOLDER/2, ..., killed at the 1st, 2nd, ... fatal call, until one write gets through."""
    write = prepare(folder / "0", verb)
    for n in count(1):
        shutil.copytree(folder / "0", folder / str(n))
        child = os.fork()
        if child == 0:
            _write_and_die(write, folder / str(n), n)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status))


def _write_and_die(write: Callable[[SqliteStore], bool], root: Path, n: int) -> None:
    store = SqliteStore(root)
    remaining = n

    def kill_at_the_last(frame: FrameType | None, event: str, called: object) -> None:
        nonlocal remaining
        if event == "c_call" and getattr(called, "__name__", "") in FATAL_CALLS:
            remaining -= 1
            if remaining == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(kill_at_the_last)
    is_stored = write(store)
    sys.setprofile(None)
    os._exit(0 if is_stored else 1)


def together(root: Path, who: str) -> None:
    """Says whether it won class `shared`, which every process wants with other content."""
    store = SqliteStore(root)
    for i in range(10):
        commit(store, f"own-{who}-{i}", 1, int(who) * 100 + i)
    made, added = record("shared", int(who))
    print(store.commit(made, added.blobs, expected=None, limits=LIMITS), flush=True)
    store.close()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["endlessly", where, seed]:
            asyncio.run(endlessly(Path(where), int(seed)))
        case ["step", verb, where]:
            step(verb, Path(where))
        case ["together", where, who]:
            together(Path(where), who)
