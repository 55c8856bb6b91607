"""What a service does over its life: how soon it is ready, and whether it still fits into its memory much later."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from lerenet.bench.report import ScenarioResult, Verdict
from lerenet.bench.service import load_row

if TYPE_CHECKING:
    from lerenet.bench.service import Bench

N_WINDOWS, WINDOW_S = 20, 60.0

_LEAST_START = """
import torch, fastapi
from safetensors.torch import load_file
load_file({weights!r})
"""


def start(bench: Bench) -> ScenarioResult:
    """From `lerenet serve` to the first ready, against importing torch and FastAPI and reading the weights."""
    least, own = [], []
    _least_start_s(bench)  # whatever comes first reads the files from disk
    for _ in range(bench.n_rounds):
        least.append(_least_start_s(bench))
        own.append(bench.start_s())
    ratio = statistics.median(own) / statistics.median(least)
    rows = [{"setting": name, "s": statistics.median(spent)} for name, spent in (("least", least), ("ready", own))]
    return ScenarioResult("start", tuple(rows), (Verdict("time to ready over imports and weights", ratio, 1.5),))


def endurance(bench: Bench) -> ScenarioResult:
    """Twenty minutes with 16 callers: the memory of the last minute over that of the second."""
    classes = bench.register(1)
    windows = [
        bench.load(classes, bench.frames, "--concurrency", "16", "--warmup", "0", seconds=WINDOW_S)
        for _ in range(N_WINDOWS)
    ]
    ratio = windows[-1]["peak_rss_bytes"] / windows[1]["peak_rss_bytes"]
    rows = [load_row(f"minute {minute}", windows[minute - 1], 1.0) for minute in (2, N_WINDOWS // 2, N_WINDOWS)]
    return ScenarioResult("endurance", tuple(rows), (Verdict("peak memory of the last minute", ratio, 1.05),))


def _least_start_s(bench: Bench) -> float:
    started_s = time.monotonic()
    subprocess.run([sys.executable, "-c", _LEAST_START.format(weights=str(bench.weights))], check=True)
    return time.monotonic() - started_s
