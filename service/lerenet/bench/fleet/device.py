"""The device of a replica: encodings share it evenly, and frames go first."""

from __future__ import annotations

from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy

    from lerenet.bench.fleet.plan import Plan

_ROUNDING_S = 1e-9


class Device:
    """Encodings under way, each a step at a time in turn with the others and with frames.

    So `runtime/loading.py`, `encode`, does: every step is a call of its own, and between two calls the device runs a
    batch of frames (`inference/batcher.py`). Only arrivals and ends are events, not the steps.

    Args:
        env: Of the simulation.
        plan: How long an encoding and a frame take.

    Attributes:
        n_encodings: That were begun.
        n_refused: That found no room in the line (`inference/batcher.py`: each encoding has one call in it).
    """

    def __init__(self, env: simpy.Environment, plan: Plan) -> None:
        self._env = env
        self._encode_s, self._frame_s = plan.encode_s, 1 / plan.frames_per_s
        self._under_way: list[tuple[float, int, simpy.Event]] = []
        self._served_s = 0.0  # what each encoding under way has had of the device since the beginning
        self._frames_s = 0.0  # of frames that wait
        self._looked_s = 0.0
        self._plan_number = 0
        self._max_queue = plan.max_queue
        self.n_encodings = self.n_refused = 0

    def frames(self, n_frames: int) -> None:
        """Frames come to be segmented."""
        if self._under_way:
            self._frames_s += n_frames * self._frame_s

    def encode(self) -> simpy.Event | None:
        """The end of an encoding that begins now; None where it is refused."""
        if len(self._under_way) >= self._max_queue:
            self.n_refused += 1
            return None
        self._advance()
        self.n_encodings += 1
        done = self._env.event()
        heappush(self._under_way, (self._served_s + self._encode_s, self.n_encodings, done))
        self._wait()
        return done

    def _advance(self) -> None:
        passed_s = self._env.now - self._looked_s
        self._looked_s = self._env.now
        frames_s = min(passed_s, self._frames_s)
        self._frames_s -= frames_s
        if self._under_way:
            self._served_s += (passed_s - frames_s) / len(self._under_way)

    def _wait(self) -> None:
        """Looks again when the next one would be done, if nothing came in between."""
        if not self._under_way:
            self._frames_s = 0.0
            return
        self._plan_number += 1
        left_s = max(0.0, self._under_way[0][0] - self._served_s) * len(self._under_way) + self._frames_s
        timeout = self._env.timeout(left_s)
        assert timeout.callbacks is not None  # it has not come yet
        timeout.callbacks.append(partial(self._due, self._plan_number))

    def _due(self, plan_number: int, _: simpy.Event) -> None:
        if plan_number != self._plan_number:
            return
        self._advance()
        while self._under_way and self._under_way[0][0] <= self._served_s + _ROUNDING_S:
            heappop(self._under_way)[2].succeed()
        self._wait()
