"""The core without a network, whose device waits at a pipe on some frames and is lost on others."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fakes import LevelSegmenter, Map, engine_with
from lerenet.edge.core import serve
from lerenet.errors import DeviceFailed
from lerenet.inference.segmenter import SegmentationJob
from lerenet.runtime.engine import Engine
from lerenet.settings import Settings, load_settings

WAITING, POISON = 77, 13
"""Levels of a frame's bar."""

WITHIN_S = 120.0


class GatedSegmenter(LevelSegmenter):
    """Waits on a frame whose bar has the level `WAITING` until the gate is opened; a bar of `POISON` ends the device.

    Args:
        pipe: Of the gate.
    """

    def __init__(self, pipe: Path) -> None:
        super().__init__()
        self._pipe = pipe

    def run(self, jobs: Sequence[SegmentationJob]) -> list[list[Map]]:
        if _any(jobs, WAITING):
            with self._pipe.open("rb") as pipe:
                pipe.read()
        if _any(jobs, POISON):
            raise DeviceFailed("the device is lost")
        return super().run(jobs)


class Gate:
    """The other end of the pipe.

    Args:
        folder: Of the service.
    """

    def __init__(self, folder: Path) -> None:
        self._path = _pipe(folder)
        os.mkfifo(self._path)

    def wait_until_entered(self) -> None:
        """Waits until a frame is on the device; it stays there until `open`."""
        until = time.monotonic() + WITHIN_S
        while True:
            try:
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                assert time.monotonic() < until
                time.sleep(0.01)
            else:
                return

    def open(self) -> None:
        """Lets the frame go on."""
        os.close(self._descriptor)


def build(settings: Settings) -> Engine:
    return engine_with(GatedSegmenter(_pipe(settings.data_dir.parent)))(settings)


def _pipe(folder: Path) -> Path:
    return folder / "gate"


def _any(jobs: Sequence[SegmentationJob], level: int) -> bool:
    return any((job.image == level).mean() > 0.05 for job in jobs)  # noise has some of every level


if __name__ == "__main__":
    sys.exit(serve(load_settings(), build=build))
