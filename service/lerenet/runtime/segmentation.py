"""From a request's files to what its images show: decode, have the maps made, read them, render each finding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from lerenet.imaging import Image, ImageLimits, decode_image
from lerenet.observability import timed_stage
from lerenet.runtime.findings import Finding, Map, SegmentationQuery, SoughtClass, read_finding
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
class MapPart:
    """The maps of some classes on one image. Whoever drops it lets the device go on.

    Attributes:
        first_place: Position in the answer of the first of the classes; the others follow.
        classes: Those that the maps are of.
        maps: One for each of them.
    """

    first_place: int
    classes: Sequence[SoughtClass]
    maps: Sequence[Map]


class ComingMaps(Protocol):
    """Maps that are being made for a request, by a device of this process or of another."""

    async def next_part(self, frame: int) -> MapPart | None:
        """The next ones of an image, in the order of the answer; None when it has had all of them.

        Raises:
            LERENetError: Why there are none.
        """

    def cancel(self) -> None:
        """Nobody waits for them any more."""


class Segmentation:
    """The pipeline of one request, on both sides of the device.

    Args:
        query: What is asked.
        decoders: Threads for decoding.
        encoders: Threads for reading and rendering maps.
    """

    def __init__(self, query: SegmentationQuery, *, decoders: ThreadPool, encoders: ThreadPool) -> None:
        self._query = query
        self._decoders = decoders
        self._encoders = encoders

    async def decode(self, files: Sequence[bytes], limits: ImageLimits) -> list[Image]:
        """Images of files; a single faulty one fails the request before the device has worked on any.

        Raises:
            RequestError: An image cannot be read, or the region of interest lies outside it.
            QueueFull: No memory for more images now.
        """
        with timed_stage("decode"):
            return await self._decoders.map(partial(self._decode, limits), range(len(files)), files)

    async def render(
        self, sizes: Sequence[tuple[int, int]], coming: ComingMaps, render: Render[Rendered]
    ) -> list[SegmentedFrame[Rendered]]:
        """What the images show.

        Args:
            sizes: (H, W) of each.
            coming: Their maps.
            render: Makes the answer of a finding; called on the encoding threads, one image's findings in order.

        Raises:
            LERENetError: Why maps do not come.
        """
        try:
            frames = [self._finish(index, size, coming, render) for index, size in enumerate(sizes)]
            return await all_or_first_error(frames)
        finally:
            coming.cancel()

    def _decode(self, limits: ImageLimits, frame: int, data: bytes) -> Image:
        pointer = f"/images/{frame}"
        image = decode_image(data, limits, bits=self._query.bits, pointer=pointer)
        self._query.check_size(image, pointer)
        return image

    async def _finish(
        self, index: int, size: tuple[int, int], coming: ComingMaps, render: Render[Rendered]
    ) -> SegmentedFrame[Rendered]:
        rendered: list[Rendered] = []
        while (part := await coming.next_part(index)) is not None:
            with timed_stage("encode"):
                rendered += await self._encoders.run(partial(self._rendered, part, size, render))
            del part  # what stayed in a name would keep its maps while the next ones are waited for
        return SegmentedFrame(*size, tuple(rendered))

    def _rendered(self, part: MapPart, size: tuple[int, int], render: Render[Rendered]) -> list[Rendered]:
        return [
            render(read_finding(q, size, place, sought, self._query.roi))
            for place, (sought, q) in enumerate(zip(part.classes, part.maps, strict=True), start=part.first_place)
        ]
