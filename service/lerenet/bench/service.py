"""A service under measurement, and what it is held against."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from lerenet.bench.bare import BareNetwork
from lerenet.bench.material import SIDE_PX, as_png, draw_frames, draw_shots, write_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import torch

    from lerenet.imaging import Image
    from lerenet.network import LERENet

N_SHOTS = 5
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
        weights: File that `network` came from.
        folder: For frames and figures.
        start_s: Starts one more service, ends it, and says after how many seconds it was ready.
        seconds: Length of one window of load.
        n_rounds: Windows of each kind, bare network and service in turns.
    """

    url: str
    pid: int
    client: Registers
    network: LERENet
    device: torch.device
    weights: Path
    folder: Path
    start_s: Callable[[], float]
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


def load_row(setting: str, found: Mapping[str, Any], ratio: float, bare_ms: float | None = None) -> dict[str, object]:
    """Figures of a window of load, as a row of a table."""
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
