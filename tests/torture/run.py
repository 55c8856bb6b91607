"""`make torture`: kill -9 and SIGTERM at random moments under load, and what was lost by it. Never in CI."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from databases import Server
from lerenet.support import verify_store
from torture.processes import Zygote
from torture.registry_cycles import torture_registry
from torture.replica_cycles import kill_one, restart_database, see_at_once, two_replicas, write_in_parallel
from torture.service_cycles import Service, restart_under_load, torture_service

N_PARALLEL = 200
DOWN_S = 3.0


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--registry", type=int, default=450, help="cycles of the registry's process")
    arguments.add_argument("--service", type=int, default=50, help="cycles of the whole service")
    arguments.add_argument("--restarts", type=int, default=20, help="restarts by SIGTERM")
    arguments.add_argument("--replicas", type=int, default=20, help="cycles of two services on one PostgreSQL")
    arguments.add_argument("--seed", type=int, default=1)
    wanted = arguments.parse_args()
    with TemporaryDirectory(prefix="lerenet-torture-") as name, Zygote() as zygote:
        folder = Path(name)
        faults = [
            *torture_the_registry(zygote, folder, wanted.registry, wanted.seed),
            *torture_the_service(zygote, folder, wanted.service, wanted.seed),
            *restart(zygote, folder, wanted.restarts, wanted.seed),
            *torture_replicas(zygote, folder, wanted.replicas, wanted.seed),
        ]
    for fault in faults:
        print(f"fault: {fault}")
    return 1 if faults else 0


def torture_the_registry(zygote: Zygote, folder: Path, n_cycles: int, seed: int) -> list[str]:
    started = time.monotonic()
    promises = torture_registry(zygote, folder, n_cycles, seed)
    tell(f"registry process, kill -9: {n_cycles} cycles", promises.n_acknowledged, len(promises.lost), started)
    return promises.lost


def torture_the_service(zygote: Zygote, folder: Path, n_cycles: int, seed: int) -> list[str]:
    started = time.monotonic()
    own = folder / "killed"
    own.mkdir()
    promises, wrong = torture_service(Service(zygote, own), n_cycles, seed)
    report = verify_store(own / "data")
    tell(f"whole service, kill -9: {n_cycles} cycles", promises.n_acknowledged, len(promises.lost), started)
    return [*promises.lost, *wrong, *report.problems, *report.leftovers]


def restart(zygote: Zygote, folder: Path, n_restarts: int, seed: int) -> list[str]:
    started = time.monotonic()
    own = folder / "stopped"
    own.mkdir()
    outcome = restart_under_load(Service(zygote, own), n_restarts, seed)
    print(
        f"whole service, SIGTERM under load: {outcome.n_restarts} restarts, {outcome.n_answers} requests answered, "
        f"accepted requests failed: {len(outcome.failed)} ({time.monotonic() - started:.0f} s)",
        flush=True,
    )
    return outcome.failed


def torture_replicas(zygote: Zygote, folder: Path, n_cycles: int, seed: int) -> list[str]:
    if not n_cycles:
        return []
    server = Server("torture")
    try:
        with two_replicas(zygote, folder / "replicas", server) as (a, b):
            parts = (
                see_at_once(a, b, 5 * n_cycles),
                write_in_parallel(a, b, N_PARALLEL),
                kill_one(a, b, n_cycles, seed),
                restart_database(a, b, server, max(1, n_cycles // 4), DOWN_S),
            )
    finally:
        server.remove()
    for part in parts:
        print(*(f"two replicas: {sentence}" for sentence in part.seen), sep="\n", flush=True)
    return [fault for part in parts for fault in part.wrong]


def tell(what: str, n_acknowledged: int, n_lost: int, started: float) -> None:
    seconds = time.monotonic() - started
    print(f"{what}, {n_acknowledged} writes acknowledged, lost: {n_lost} ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
