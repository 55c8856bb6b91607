"""From a request's files to what its images show: decode, queue, read the maps, render each finding."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from lerenet.imaging import Image, ImageLimits, decode_image
from lerenet.inference.segmenter import SegmentationJob
from lerenet.observability import timed_stage
from lerenet.runtime.device_queue import DeviceQueue, TimedMaps
from lerenet.runtime.findings import Finding, Map, Resolved, SegmentationQuery, read_finding
from lerenet.runtime.pools import ThreadPool, all_or_first_error

Rendered = TypeVar("Rendered")


@dataclass(frozen=True)
class SegmentedFrame(Generic[Rendered]):
    """One image of the request: its size in pixels, and what was rendered per class."""

    height: int
    width: int
    classes: tuple[Rendered, ...]


Render = Callable[[Finding], Rendered]


@dataclass(frozen=True, eq=False)
class _Part:
    """Some of the classes on one image: their places in the answer, and the job to find them."""

    places: range
    job: SegmentationJob


class Segmentation:
    """The pipeline of one request after its classes are known.

    Args:
        query: What is asked.
        resolved: The classes, in the order of the answer.
        queue: The device.
        decoders: Threads for decoding.
        encoders: Threads for reading and rendering maps.
        max_map_pixels: Of the probability maps of one job; an image with more classes than that goes in several.
    """

    def __init__(
        self,
        query: SegmentationQuery,
        resolved: Sequence[Resolved],
        *,
        queue: DeviceQueue,
        decoders: ThreadPool,
        encoders: ThreadPool,
        max_map_pixels: int,
    ) -> None:
        self._query = query
        self._resolved = resolved
        self._queue = queue
        self._decoders = decoders
        self._encoders = encoders
        self._max_map_pixels = max_map_pixels

    async def run(
        self, files: Sequence[bytes], limits: ImageLimits, deadline: float, render: Render[Rendered]
    ) -> list[SegmentedFrame[Rendered]]:
        """Segments images; a single faulty one fails the request before the device has worked on any.

        Args:
            files: Image files.
            limits: Of each.
            deadline: Monotonic time, in seconds, after which nobody waits.
            render: Makes the answer of a finding; called on the encoding threads, one image's findings in order.

        Raises:
            RequestError: An image cannot be read, or the region of interest lies outside it.
            Unavailable: The queue is full, or the service stops.
            DeviceFailed: The device is lost.
        """
        with timed_stage("decode"):
            images = await self._decoders.map(partial(self._decode, limits), range(len(files)), files)
        frames = [(image, self._parts(image)) for image in images]
        futures = deque(self._queue.submit([part.job for _, parts in frames for part in parts], deadline))
        submitted = time.monotonic()
        awaited = [
            ((image.shape[0], image.shape[1]), deque((part, futures.popleft()) for part in parts))
            for image, parts in frames
        ]
        try:
            return await all_or_first_error([self._finish(size, parts, submitted, render) for size, parts in awaited])
        finally:
            for _, parts_left in awaited:
                for _, future in parts_left:
                    future.cancel()

    def _decode(self, limits: ImageLimits, frame: int, data: bytes) -> Image:
        pointer = f"/images/{frame}"
        image = decode_image(data, limits, bits=self._query.bits, pointer=pointer)
        self._query.check_size(image, pointer)
        return image

    def _parts(self, image: Image) -> list[_Part]:
        """An image's classes, in as many jobs as the memory of their maps asks for."""
        height, width = image.shape[:2]
        n_classes, length = len(self._resolved), max(1, self._max_map_pixels // (height * width))
        places = [range(start, min(start + length, n_classes)) for start in range(0, n_classes, length)]
        return [_Part(each, self._job(image, each)) for each in places]

    def _job(self, image: Image, places: range) -> SegmentationJob:
        encodings = tuple(self._resolved[place].encoding for place in places)
        return SegmentationJob(self._query.looked_at(image), encodings)

    async def _finish(
        self,
        size: tuple[int, int],
        parts: deque[tuple[_Part, Future[TimedMaps]]],
        submitted: float,
        render: Render[Rendered],
    ) -> SegmentedFrame[Rendered]:
        rendered: list[Rendered] = []
        while parts:  # taken out one by one: a future that stayed would keep its maps until the request ends
            rendered += await self._finish_part(*parts.popleft(), size, submitted, render)
        return SegmentedFrame(*size, tuple(rendered))

    async def _finish_part(
        self,
        part: _Part,
        future: Future[TimedMaps],
        size: tuple[int, int],
        submitted: float,
        render: Render[Rendered],
    ) -> list[Rendered]:
        maps = await self._queue.result(future, submitted)
        with timed_stage("encode"):
            return await self._encoders.run(partial(self._rendered, part.places, maps, size, render))

    def _rendered(
        self, places: range, maps: Sequence[Map], size: tuple[int, int], render: Render[Rendered]
    ) -> list[Rendered]:
        return [
            render(read_finding(q, size, place, self._resolved[place], self._query))
            for place, q in zip(places, maps, strict=True)
        ]
