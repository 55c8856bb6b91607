"""What is measured, each with the bare network in the same run, so that ratios hold on a busy machine as well."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from lerenet.bench.bare import BareNetwork, for_a_while
from lerenet.bench.material import SIDE_PX, as_png, draw_frames, draw_shots, write_frames
from lerenet.bench.report import ScenarioResult, Verdict
from lerenet.inference.tiles import cut_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from lerenet.imaging import Image
    from lerenet.network import LERENet

MANY_CLASSES = 64
N_SHOTS = 5
BATCH = 16
LEAST_SLOW_S = 10.0


class Registers(Protocol):
    """What is asked of a client: `lerenet.client.Client`."""

    def register(self, name: str, shots: Sequence[tuple[Any, Any]]) -> object:
        """Registers a class."""


@dataclass(frozen=True, eq=False)
class Bench:
    """A running service, and what to hold it against.

    Attributes:
        url: Of the service.
        pid: Its process.
        client: Registers classes.
        network: What the service runs, here.
        device: Where `network` is.
        folder: For frames and figures.
        seconds: Length of one window of load.
        n_rounds: Windows of each kind, bare network and service in turns.
    """

    url: str
    pid: int
    client: Registers
    network: LERENet
    device: torch.device
    folder: Path
    seconds: float = 10.0
    n_rounds: int = 3

    def register(self, n_classes: int, n_shots: int = N_SHOTS) -> str:
        """Registers classes that are not there yet; their names with commas, the first `n_classes`."""
        names = []
        for index, shots in enumerate(draw_shots(n_classes, n_shots)):
            names.append(f"bench-{n_shots}-{index}")
            self.client.register(names[-1], [(as_png(shot.image), as_png(shot.mask * 255)) for shot in shots])
        return ",".join(names)

    def bare(self, n_classes: int = 1, n_shots: int = N_SHOTS) -> BareNetwork:
        """The network with the same classes."""
        return BareNetwork.prepared(self.network, draw_shots(n_classes, n_shots), self.device)

    def load(
        self, classes: str, frames: Sequence[Image], *options: str, seconds: float | None = None
    ) -> Mapping[str, Any]:
        """Figures of a window of load, from a client in a process of its own."""
        height, width = frames[0].shape[:2]
        folder = write_frames(list(frames), self.folder / f"{height}x{width}")
        command = [sys.executable, "-m", "lerenet.bench.load", "--url", f"{self.url}/segment?classes={classes}"]
        command += [
            "--frames",
            str(folder),
            "--pid",
            str(self.pid),
            "--seconds",
            str(seconds or self.seconds),
            *options,
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found: Mapping[str, Any] = json.loads(done.stdout)
        return found

    @property
    def slow_s(self) -> float:
        """Length of a window in which answers take seconds each, on a CPU: some must fall into it."""
        return max(self.seconds, LEAST_SLOW_S)

    @cached_property
    def frames(self) -> list[Image]:
        """Small frames."""
        return draw_frames(SIDE_PX, SIDE_PX)


def throughput(bench: Bench) -> ScenarioResult:
    """CPU seconds per small frame at concurrency 1, 4 and 16, over those of the bare network in batches of 16."""
    classes, bare = bench.register(1), bench.bare()
    images = bare.tensor(bench.frames[:BATCH])
    rows, ratios = [], []
    for n_callers in (1, 4, BATCH):
        cpu, own = [], []
        for _ in range(bench.n_rounds):
            own += [each.cpu_s for each in for_a_while(lambda: bare.spend(images, 1), bench.seconds / 2)]
            found = bench.load(classes, bench.frames, "--concurrency", str(n_callers))
            cpu.append(found["cpu_s_per_frame"])
        ratios.append(statistics.median(cpu) / statistics.median(own))
        rows.append(_row(f"{n_callers} callers", found, ratios[-1], bare_ms=1e3 * statistics.median(own)))
    claim = f"CPU seconds per frame with {BATCH} callers, over the bare network in batches of {BATCH}"
    return ScenarioResult("throughput", tuple(rows), (Verdict(claim, ratios[-1], 1.15),))


def latency(bench: Bench) -> ScenarioResult:
    """One small frame at a time, against one forward pass."""
    classes, bare = bench.register(1), bench.bare()
    image = bare.tensor(bench.frames[:1])
    own, served = [], []
    for _ in range(bench.n_rounds):
        own += [each.wall_s for each in for_a_while(lambda: bare.spend(image, 1), bench.seconds / 2)]
        found = bench.load(classes, bench.frames, "--concurrency", "1")
        served.append(found["p50_ms"])
    extra_ms = statistics.median(served) - 1e3 * statistics.median(own)
    row = _row(
        "1 caller", found, statistics.median(served) / (1e3 * statistics.median(own)), 1e3 * statistics.median(own)
    )
    bound_ms = 2.0 if bench.device.type == "cuda" else 3.0
    return ScenarioResult("latency", (row,), (Verdict("median over a bare forward pass, ms", extra_ms, bound_ms),))


def classes(bench: Bench) -> ScenarioResult:
    """What further classes on a frame cost, in CPU seconds over one class."""
    rows, verdicts, one_s = [], [], 0.0
    bounds = {16: 4.0, MANY_CLASSES: 12.0}
    names = bench.register(MANY_CLASSES).split(",")
    for n_classes in (1, 4, 16, MANY_CLASSES):
        found = bench.load(",".join(names[:n_classes]), bench.frames, "--concurrency", "4", seconds=bench.slow_s)
        one_s = one_s or found["cpu_s_per_frame"]
        ratio = found["cpu_s_per_frame"] / one_s
        rows.append(_row(f"{n_classes} classes", found, ratio))
        if n_classes in bounds:
            verdicts.append(Verdict(f"cost of {n_classes} classes over one", ratio, bounds[n_classes]))
    return ScenarioResult("classes", tuple(rows), tuple(verdicts))


def shots(bench: Bench) -> ScenarioResult:
    """A class of five shots against one of a single shot, in turns."""
    named = {n: bench.register(1, n) for n in (1, N_SHOTS)}
    spent: dict[int, list[float]] = {n: [] for n in named}
    rows = []
    for _ in range(bench.n_rounds):
        for n, name in named.items():
            found = bench.load(name, bench.frames, "--concurrency", "4")
            spent[n].append(found["cpu_s_per_frame"])
    ratio = statistics.median(spent[N_SHOTS]) / statistics.median(spent[1])
    rows = [{"setting": f"{n} shots", "CPU ms": 1e3 * statistics.median(spent[n])} for n in spent]
    return ScenarioResult("shots", tuple(rows), (Verdict("cost of a 5-shot class over a 1-shot class", ratio, 1.03),))


def large(bench: Bench) -> ScenarioResult:
    """A frame of 1,024 x 4,096 pixels, against the bare network on as many tiles of its size."""
    classes, bare = bench.register(1), bench.bare()
    frames = draw_frames(1024, 4096, 4)
    grid = cut_frame((1024, 4096), multiple=bench.network.stride_multiple)
    n_tiles, tile = len(grid.tiles), grid.tiles[0]
    tiles = bare.tensor(draw_frames(tile.height, tile.width, 4))
    own = [each.wall_s for each in for_a_while(lambda: bare.spend(tiles, 1), bench.seconds)]
    found = bench.load(classes, frames, "--concurrency", "2", seconds=2 * bench.slow_s)
    # with answers of seconds each, those that the window's end cuts through must count
    frames_per_s = found["n_answered"] / (found["seconds"] + found["drained_s"])
    ratio = frames_per_s * n_tiles * statistics.median(own)
    row = _row("1,024 x 4,096 px", found, ratio, 1e3 * statistics.median(own))
    return ScenarioResult(
        "large", (row,), (Verdict("tiles a second over the bare network's", ratio, 0.85, is_floor=True),)
    )


def overload(bench: Bench) -> ScenarioResult:
    """Four times as many frames as can be served: what is served, and what the others are told."""
    classes = bench.register(1)
    full = bench.load(classes, bench.frames, "--concurrency", str(BATCH))
    rate = 4 * full["throughput"]
    found = bench.load(
        classes, bench.frames, "--rate", f"{rate:.1f}", "--probe", f"{bench.url}/livez", seconds=3 * bench.seconds
    )
    goodput = found["throughput"] / full["throughput"]
    rows = (_row("16 callers", full, 1.0), _row(f"{rate:.0f} a second", found, goodput))
    forecast = found["retry_ratio"] or 0.0
    verdicts = (
        Verdict("answers a second over the capacity", goodput, 0.95, is_floor=True),
        Verdict("99 in 100 refusals within, ms", found["refusal_p99_ms"] or 0.0, 100.0),
        Verdict("Retry-After over the wait of those accepted, at least", forecast, 0.5, is_floor=True),
        Verdict("Retry-After over the wait of those accepted, at most", forecast, 2.0),
        Verdict("99 in 100 answers of /livez within, ms", found["probe"]["p99_ms"] or 0.0, 50.0),
    )
    return ScenarioResult("overload", rows, verdicts)


SCENARIOS: Mapping[str, Callable[[Bench], ScenarioResult]] = {
    each.__name__: each for each in (throughput, latency, shots, classes, large, overload)
}
"""By name, in the order in which they run."""


def _row(setting: str, found: Mapping[str, Any], ratio: float, bare_ms: float | None = None) -> dict[str, object]:
    return {
        "setting": setting,
        "frames/s": found["throughput"],
        "p50 ms": found["p50_ms"],
        "p95 ms": found["p95_ms"],
        "p99 ms": found["p99_ms"],
        "CPU ms": None if found["cpu_s_per_frame"] is None else 1e3 * found["cpu_s_per_frame"],
        "bare ms": bare_ms,
        "ratio": ratio,
        "peak RSS MiB": found["peak_rss_bytes"] / (1 << 20),
        "answers": ", ".join(f"{status}: {n}" for status, n in found["statuses"].items()),
    }
