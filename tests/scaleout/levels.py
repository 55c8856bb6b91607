"""The service on Ray Serve without a network: each replica finds grey levels."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from fakes import LevelSegmenter, Map, engine_with
from lerenet.errors import DeviceFailed
from lerenet.inference.segmenter import SegmentationJob
from lerenet.scaleout.plan import Plan
from lerenet.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ray.serve import Application

    from lerenet.runtime.engine import Engine


POISON = 13


class MortalSegmenter(LevelSegmenter):
    """Loses its device to a frame whose bar has the level `POISON`.

    Args:
        takes_s: A batch at the least, in seconds.
    """

    def __init__(self, takes_s: float) -> None:
        super().__init__()
        self._takes_s = takes_s

    def run(self, jobs: Sequence[SegmentationJob]) -> list[list[Map]]:
        if any((job.image == POISON).mean() > 0.05 for job in jobs):  # noise has some of every level
            raise DeviceFailed("the device is lost")
        time.sleep(self._takes_s)
        return super().run(jobs)


def build(settings: Settings, takes_s: float) -> Engine:
    return engine_with(MortalSegmenter(takes_s))(settings)


def application(arguments: dict[str, Any]) -> Application:
    from lerenet.scaleout.application import application_of  # Ray: for its own processes alone

    return application_of(Plan(), load_settings(), partial(build, takes_s=arguments.get("takes_s", 0.0)))
