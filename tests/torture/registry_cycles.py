"""Cycles of the registry's process: started, put under load, killed at a random moment, opened again and compared."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path
from random import Random

from lerenet.support import SqliteStore
from torture.acknowledged import Promises
from torture.processes import Zygote

CYCLES_PER_FOLDER = 25
LONGEST_LIFE_S = 0.6


def torture_registry(zygote: Zygote, folder: Path, n_cycles: int, seed: int) -> Promises:
    """What was promised and broken in `n_cycles` lives."""
    draw = Random(seed)
    total = Promises()
    for first in range(0, n_cycles, CYCLES_PER_FOLDER):
        root, promises = folder / f"data-{first}", Promises()
        for cycle in range(first, min(first + CYCLES_PER_FOLDER, n_cycles)):
            said = folder / f"said-{cycle}"
            said.touch()  # the kill may come before the process opens it
            pid = zygote.start(what="registry", data_dir=str(root), said=str(said), seed=cycle)
            time.sleep(draw.uniform(0.0, LONGEST_LIFE_S))
            zygote.end(pid, signal.SIGKILL)
            promises.hear(said.read_text().splitlines(keepends=True))
            promises.compare(held(root, promises.lost))
        total.n_acknowledged += promises.n_acknowledged
        total.lost += promises.lost
        shutil.rmtree(root)
    return total


def held(root: Path, lost: list[str]) -> dict[str, str]:
    """Revision by name, every file of it read against its hash; faults are added to `lost`."""
    store = SqliteStore(root)
    report = store.verify()
    pointers = store.pointers()[1]
    store.close()
    lost += [*report.problems, *report.leftovers]
    return pointers
