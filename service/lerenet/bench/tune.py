"""Which threads, precision and layout are fastest on this machine, by the network alone."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from lerenet.bench.bare import for_a_while
from lerenet.bench.material import SIDE_PX, draw_frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lerenet.bench.bare import BareNetwork
    from lerenet.imaging import Image
    from lerenet.inference.precision import Precision

BATCH = 4
LAYOUTS = {"channels last": torch.channels_last, "channels first": torch.contiguous_format}
WORTH_A_SETTING = 1.05
"""Another setting than the default is recommended from this gain in frames a second on."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A setting, and what it takes for one small frame with one class.

    Attributes:
        threads: CPU threads of the network.
        precision: `float32`, `tf32` or `bf16`.
        layout: Of tensors; the service uses channels last.
        single_ms: A frame by itself, in milliseconds.
        batched_ms: A frame in a batch of 4, in milliseconds.
        batched_cpu_ms: CPU time of all threads for a frame in a batch, in milliseconds.
    """

    threads: int
    precision: Precision
    layout: str
    single_ms: float
    batched_ms: float
    batched_cpu_ms: float


def try_settings(bare: BareNetwork, max_threads: int, seconds: float) -> Iterator[Trial]:
    """Measures every setting, the service's default first.

    Args:
        bare: The network with one class.
        max_threads: As many as this process may use; fewer are tried by halves.
        seconds: Time for each figure.
    """
    frames = draw_frames(SIDE_PX, SIDE_PX, BATCH)
    for layout, memory_format in LAYOUTS.items():
        laid_out = bare.laid_out(memory_format)
        for precision in _precisions(bare.device):
            for threads in _by_halves(max_threads):
                torch.set_num_threads(threads)
                measured = _measured(replace(laid_out, precision=precision), frames, seconds)
                yield Trial(threads, precision, layout, *measured)


def _measured(bare: BareNetwork, frames: Sequence[Image], seconds: float) -> tuple[float, float, float]:
    single, batch = bare.tensor(frames[:1]), bare.tensor(frames)
    alone = for_a_while(lambda: bare.spend(single, 1), seconds)
    together = for_a_while(lambda: bare.spend(batch, 1), seconds)
    return (
        1e3 * statistics.median(spent.wall_s for spent in alone),
        1e3 * statistics.median(spent.wall_s for spent in together),
        1e3 * statistics.median(spent.cpu_s for spent in together),
    )


def recommend(trials: Sequence[Trial]) -> dict[str, str]:
    """Settings by environment variable; empty where the defaults, which are the first trial, are as good."""
    default = trials[0]
    settable = [trial for trial in trials if trial.layout == default.layout]
    best = min(settable, key=lambda trial: trial.batched_ms)
    if default.batched_ms < WORTH_A_SETTING * best.batched_ms:
        return {}
    chosen = {}
    if best.threads != default.threads:
        chosen["LERENET_THREADS"] = str(best.threads)
    if best.precision != default.precision:
        chosen["LERENET_PRECISION"] = best.precision
    return chosen


def _precisions(device: torch.device) -> tuple[Precision, ...]:
    return ("tf32", "float32", "bf16") if device.type == "cuda" else ("float32", "bf16")


def _by_halves(most: int) -> list[int]:
    """`most`, and its halves down to 1."""
    return [most >> shift for shift in range(most.bit_length())]
