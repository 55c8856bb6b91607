"""What is measured, each with the bare network in the same run, so that ratios hold on a busy machine as well."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from lerenet.bench.bare import for_a_while
from lerenet.bench.life import endurance, start
from lerenet.bench.material import draw_frames
from lerenet.bench.report import ScenarioResult, Verdict
from lerenet.bench.service import N_SHOTS, load_row
from lerenet.inference.tiles import cut_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lerenet.bench.service import Bench

MANY_CLASSES = 64
BATCH = 16


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
        rows.append(load_row(f"{n_callers} callers", found, ratios[-1], bare_ms=1e3 * statistics.median(own)))
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
    row = load_row(
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
        rows.append(load_row(f"{n_classes} classes", found, ratio))
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
    row = load_row("1,024 x 4,096 px", found, ratio, 1e3 * statistics.median(own))
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
    rows = (load_row("16 callers", full, 1.0), load_row(f"{rate:.0f} a second", found, goodput))
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
    each.__name__: each for each in (throughput, latency, shots, classes, large, overload, start, endurance)
}
"""By name, in the order in which they run."""

UNASKED = tuple(name for name in SCENARIOS if name != endurance.__name__)
"""Those that run when nobody names any: all but the one that takes twenty minutes."""
