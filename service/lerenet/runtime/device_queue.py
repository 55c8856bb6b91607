"""The queue in front of the device, with a stopwatch on every job."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lerenet.inference.batcher import Batcher
from lerenet.inference.device import is_device_lost, is_out_of_memory
from lerenet.inference.outstanding import Outstanding
from lerenet.observability import Metrics, note_stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lerenet.inference.attempts import BatchReport
    from lerenet.inference.segmenter import SegmentationJob
    from lerenet.runtime.engine import Engine
    from lerenet.settings import Settings

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class TimedMaps:
    """Probability maps per class, and when the device worked on them, in seconds of the monotonic clock."""

    maps: Sequence[NDArray[np.uint8]]
    started: float
    ended: float


class DeviceQueue:
    """Jobs for the device thread, awaited from the event loop.

    Args:
        engine: What runs on the device.
        settings: Bounds of queue and batches.
        metrics: Told of every batch, and of memory that did not suffice.
        on_death: Called on the device thread when the device is lost.
    """

    def __init__(
        self, engine: Engine, settings: Settings, metrics: Metrics, on_death: Callable[[BaseException], None]
    ) -> None:
        self._segmenter = engine.segmenter
        self._metrics = metrics
        self._maps = Outstanding(settings.max_map_pixels)
        self.last_batch_time: float | None = None
        self.last_work_time: float | None = None
        self._batcher: Batcher[SegmentationJob, TimedMaps] = Batcher(
            self._run,
            prepare=engine.segmenter.prepare,
            weigh=engine.segmenter.weigh,
            weigh_result=_map_pixels,
            outstanding=self._maps,
            max_batch=settings.max_batch_images,
            max_batch_weight=engine.max_batch_pixels,
            max_queue=settings.max_queue_images,
            max_queue_weight=settings.max_queue_pixels,
            stall_s=settings.longest_silence_s,
            is_out_of_memory=is_out_of_memory,
            is_fatal=is_device_lost,
            free_memory=self._free_memory,
            on_death=on_death,
            on_batch=self._note_batch,
        )
        engine.heartbeat.listener = self._batcher.beat

    def check_room(self, deadline: float) -> None:
        """Refuses, as `submit` would, what even the smallest job would meet now."""
        self._batcher.check_room(deadline)

    def submit(self, jobs: Sequence[SegmentationJob], deadline: float) -> list[Future[TimedMaps]]:
        """Queues jobs, all or none.

        Args:
            jobs: What to segment.
            deadline: Monotonic time, in seconds, after which nobody waits for them.

        Raises:
            QueueFull: No room, or what waits would take longer than there is time.
            DeviceFailed: The device is lost.
            Draining: The service is stopping.
        """
        return self._batcher.submit_all(jobs, deadline=deadline)

    async def result(self, future: Future[TimedMaps], submitted: float) -> Sequence[NDArray[np.uint8]]:
        """Maps of a job; leaving early drops the job if it has not started."""
        timed = await asyncio.wrap_future(future)
        note_stage("queue", timed.started - submitted, timed.started)
        note_stage("device", timed.ended - timed.started, timed.ended)
        return timed.maps

    async def call(self, work: Callable[[], Value]) -> Value:
        """Result of `work`, run on the device thread between two batches."""
        value = await asyncio.wrap_future(self._batcher.call(work))
        self.last_work_time = time.time()
        return value

    @property
    def depth(self) -> int:
        """Jobs and calls that wait."""
        return self._batcher.depth

    @property
    def map_pixels(self) -> int:
        """Pixels of probability maps that have been made and wait to be read."""
        return self._maps.held

    @property
    def alive(self) -> bool:
        """Whether the device thread runs."""
        return self._batcher.alive

    @property
    def stalled(self) -> bool:
        """Whether one batch has been running for too long."""
        return self._batcher.stalled

    @property
    def retry_after_s(self) -> float:
        """Forecast of when the queue has drained, in seconds."""
        return self._batcher.retry_after_s

    def abandon(self, error: BaseException) -> None:
        """Answers all who wait with DeviceFailed, and refuses new work: the device will not come back."""
        self._batcher.abandon(error)

    def close(self, drain_s: float) -> None:
        """Ends the device thread; what is not done after `drain_s` seconds is answered with Draining."""
        self._batcher.close(drain_s)

    def _run(self, prepared: Any) -> list[TimedMaps]:
        started = time.monotonic()
        results = self._segmenter.run(prepared)
        ended = time.monotonic()
        timed = [TimedMaps(maps, started, ended) for maps in results]
        for each in timed:
            self._maps.watch(each, sum(q.size for q in each.maps))
        return timed

    def _note_batch(self, report: BatchReport) -> None:
        self.last_batch_time = self.last_work_time = time.time()
        self._metrics.observe_batch(report.n_jobs, report.run_s)

    def _free_memory(self) -> None:
        self._metrics.count_out_of_memory()
        self._segmenter.free_memory()


def _map_pixels(job: SegmentationJob) -> int:
    n_pixels: int = job.image.shape[0] * job.image.shape[1]
    return n_pixels * len(job.classes)
