"""`make fuzz`: every fuzzer with a seed and a count; prints what came of it, and ends with 1 when there is a find.

python tests/fuzz/run.py --seed 1 --count 1000000 --http 50000
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random

import psutil

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from builders import tiny_network  # noqa: E402
from fuzz.served import MIB, Tally, fuzz_http, server  # noqa: E402
from fuzz.targets import TARGETS, is_refused  # noqa: E402
from lerenet.network import save_weights  # noqa: E402

HANG_S = 2.0
WARM_UP = 3_000
SHARES = {"image": 0.15, "mask": 0.15, "rle": 0.35, "brush": 0.05, "annotations": 0.3}
"""Of the inputs that are not guided and not sent."""
ATHERIS = {"image": 20_000, "mask": 20_000, "rle": 100_000}
"""Of a million inputs in all."""


def main() -> int:
    """Runs all stages; the number of finds decides the exit status."""
    asked = _asked()
    os.nice(5)
    finds = _blind(asked.seed, asked.count - asked.http - _n_atheris(asked))
    finds += _atheris(asked)
    with tempfile.TemporaryDirectory() as folder:
        if not asked.http:
            return _told(finds)
        weights = Path(folder) / "tiny.safetensors"
        save_weights(tiny_network(), weights)
        finds += _http(asked, Path(folder), weights)
    return _told(finds)


def _told(finds: list[str]) -> int:
    print("finds:", *(finds or ["none"]), sep="\n  ")
    return 1 if finds else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="1")
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs in all")
    parser.add_argument("--http", type=int, default=50_000, help="of them over HTTP")
    parser.add_argument("--connections", type=int, default=6)
    parser.add_argument("--key", help="API key to send with requests")
    parser.add_argument("--keys-file", help="LERENET_API_KEYS_FILE of the server that is started")
    parser.add_argument("--no-atheris", action="store_true")
    return parser.parse_args()


def _n_atheris(asked: argparse.Namespace) -> int:
    scale = 0 if asked.no_atheris else asked.count / 1_000_000
    return sum(int(runs * scale) for runs in ATHERIS.values())


def _blind(seed: str, count: int) -> list[str]:
    """Structured generators and mutations, without knowledge of coverage."""
    finds: list[str] = []
    warnings.filterwarnings("ignore", module=r"PIL\b")
    with _quiet_libraries():
        for name, (make, read) in TARGETS.items():
            tally, n_inputs = Tally(), round(count * SHARES[name])
            process = psutil.Process()
            rss = 0
            begun = time.perf_counter()
            for number in range(n_inputs):
                value = make(Random(f"{seed}/{name}/{number}"))
                if number == min(WARM_UP, n_inputs // 2):
                    rss = process.memory_info().rss
                started = time.perf_counter()
                try:
                    outcome = "refused" if is_refused(read, value) else "read"
                except Exception:
                    outcome = "error"
                    finds.append(f"{seed}/{name}/{number}: {traceback.format_exc(limit=-1)}")
                tally.add(outcome, time.perf_counter() - started, f"{seed}/{name}/{number}")
            _report(name, tally, time.perf_counter() - begun, rss, process.memory_info().rss)
            if tally.slowest_s > HANG_S:
                finds.append(f"{tally.slowest}: {tally.slowest_s:.1f} s")
    return finds


class _quiet_libraries:
    """libtiff tells of damage on the error stream of the process."""

    def __enter__(self) -> None:
        self._kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def __exit__(self, *_: object) -> None:
        os.dup2(self._kept, 2)
        os.close(self._kept)


def _atheris(asked: argparse.Namespace) -> list[str]:
    """Guided by coverage, each in a process of its own."""
    finds = []
    for name, share in ATHERIS.items():
        runs = int(share * asked.count / 1_000_000)
        if asked.no_atheris or runs == 0:
            continue
        begun = time.perf_counter()
        command = [sys.executable, str(TESTS / "fuzz" / "guided.py"), name, f"-runs={runs}", f"-seed={asked.seed}"]
        with tempfile.TemporaryDirectory() as folder:
            options = [f"-artifact_prefix={folder}/", "-timeout=2", "-rss_limit_mb=2048", "-max_len=4096"]
            done = subprocess.run([*command, *options], capture_output=True, check=False, text=True, errors="replace")
        lines = [line for line in done.stderr.splitlines() if line.startswith("#")]
        seconds = time.perf_counter() - begun
        print(
            f"atheris {name}: {runs} inputs, {runs / seconds:.0f}/s, exit {done.returncode}; {lines[-1:]}", flush=True
        )
        if done.returncode:
            finds.append(f"atheris {name}: {done.stderr[-2_000:]}")
    return finds


def _http(asked: argparse.Namespace, folder: Path, weights: Path) -> list[str]:
    """Requests over connections that are kept alive, to a server in a process of its own."""
    settings = {"api_keys_file": asked.keys_file} if asked.keys_file else {}
    with server(folder, weights, asked.key, **settings) as (address, process):
        port, tally, warm = int(address.rpartition(":")[2]), Tally(), min(WARM_UP, asked.http // 3)
        begun = time.perf_counter()
        arguments = (asked.connections, tally, asked.key)
        asyncio.run(fuzz_http(port, asked.seed, 0, warm, *arguments))
        rss = process.memory_info().rss
        asyncio.run(fuzz_http(port, asked.seed, warm, asked.http - warm, *arguments))
        seconds, is_running = time.perf_counter() - begun, process.is_running()
        _report("http", tally, seconds, rss, process.memory_info().rss if is_running else 0)
    found = list(tally.finds) + ([] if is_running else ["the server ended"])
    if tally.slowest_s > HANG_S:
        found.append(f"{tally.slowest}: {tally.slowest_s:.1f} s")
    return found


def _report(name: str, tally: Tally, seconds: float, rss_begin: int, rss_end: int) -> None:
    n_inputs = sum(tally.outcomes.values())
    outcomes = ", ".join(f"{outcome} {count}" for outcome, count in sorted(tally.outcomes.items()))
    n_failed = tally.outcomes["500"] + tally.outcomes["error"]
    print(
        f"{name}: {n_inputs} inputs, {n_inputs / seconds:.0f}/s, 500s: {n_failed},"
        f" slowest {tally.slowest_s:.2f} s ({tally.slowest}), slowest 200 or 201 {tally.slowest_work_s:.2f} s,"
        f" RSS {rss_begin / MIB:.0f} -> {rss_end / MIB:.0f} MiB; {outcomes}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
