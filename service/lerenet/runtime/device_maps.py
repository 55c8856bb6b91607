"""Maps of a request from the device of this process: its images queued, a job for as many classes as memory allows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from lerenet.imaging import Image
from lerenet.inference.encodings import ClassEncoding
from lerenet.inference.segmenter import SegmentationJob
from lerenet.runtime.device_queue import DeviceQueue, TimedMaps
from lerenet.runtime.findings import SegmentationQuery, sought_class
from lerenet.runtime.segmentation import MapPart
from lerenet.support import ResolvedClass

Resolved = ResolvedClass[ClassEncoding]


@dataclass(frozen=True, eq=False)
class QueuedPart:
    """Some of the classes on one image, and the job that finds them.

    Attributes:
        frame: Number of the image.
        places: Of the classes in the answer.
        future: Of their maps.
    """

    frame: int
    places: range
    future: Future[TimedMaps]


class DeviceMaps:
    """The jobs of one request, queued when this is made: all or none.

    Args:
        queue: The device.
        images: Decoded, whole.
        resolved: The classes, in the order of the answer.
        query: What is asked.
        deadline: Monotonic time, in seconds, after which nobody waits.
        max_map_pixels: Of the maps of one job; an image with more classes than that goes in several.

    Raises:
        QueueFull: No room, or no time.
        DeviceFailed: The device is lost.
        Draining: The service is stopping.

    Attributes:
        classes: In the order of the answer.
        parts: Of every image, in the same order, as far as nobody has taken them out.
        submitted: Monotonic time at which they joined the line, in seconds.
    """

    def __init__(
        self,
        queue: DeviceQueue,
        images: Sequence[Image],
        resolved: Sequence[Resolved],
        query: SegmentationQuery,
        *,
        deadline: float,
        max_map_pixels: int,
    ) -> None:
        self._queue = queue
        self.classes = tuple(sought_class(each, query) for each in resolved)
        encodings = tuple(each.encoding for each in resolved)
        looked_at = [query.looked_at(image) for image in images]
        places = [
            (frame, each)
            for frame, image in enumerate(images)
            for each in _parts(len(resolved), max(1, max_map_pixels // (image.shape[0] * image.shape[1])))
        ]
        jobs = [SegmentationJob(looked_at[frame], encodings[each.start : each.stop]) for frame, each in places]
        futures = queue.submit(jobs, deadline)
        self.submitted = time.monotonic()
        self.parts: list[deque[QueuedPart]] = [deque() for _ in images]
        for (frame, each), future in zip(places, futures, strict=True):
            self.parts[frame].append(QueuedPart(frame, each, future))

    async def next_part(self, frame: int) -> MapPart | None:
        """The next maps of an image; see `segmentation.ComingMaps`."""
        parts = self.parts[frame]
        # taken out one by one: a future that stayed would keep its maps until the request ends
        return await self._finished(parts.popleft()) if parts else None

    def cancel(self) -> None:
        """Drops the jobs that have not started."""
        for parts in self.parts:
            for part in parts:
                part.future.cancel()

    async def _finished(self, part: QueuedPart) -> MapPart:
        maps = await self._queue.result(part.future, self.submitted)
        return MapPart(part.places.start, self.classes[part.places.start : part.places.stop], maps)


def _parts(n_classes: int, length: int) -> list[range]:
    return [range(start, min(start + length, n_classes)) for start in range(0, n_classes, length)]
