"""What is asked of the segmenter, and what it makes of that before the device has to work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lerenet.inference.geometry import Crop
from lerenet.inference.runner import grouped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lerenet.imaging import Image
    from lerenet.inference.blending import BlendedMap
    from lerenet.inference.encodings import ClassEncoding
    from lerenet.inference.upload import Upload
    from lerenet.network import SupportEncoding


@dataclass(frozen=True, eq=False)
class SegmentationJob:
    """One image and the classes to find in it.

    Attributes:
        image: (H, W) grey or (H, W, 3) RGB uint8, original size.
        classes: Any number, of any working scales.
    """

    image: Image
    classes: tuple[ClassEncoding, ...]


@dataclass(frozen=True, eq=False)
class Look:
    """A tile of a frame, `index` in its grid, and the classes that look at it: maps and encodings in one order."""

    crop: Crop
    index: int
    maps: tuple[BlendedMap, ...]
    encodings: tuple[SupportEncoding, ...]

    @property
    def frame(self) -> BlendedMap:
        """Stands for the frame at its working scale: the first of the maps, which all its tiles have in common."""
        return self.maps[0]


@dataclass(frozen=True, eq=False)
class PreparedJobs:
    """Jobs cut into batches of tiles, in host memory.

    Attributes:
        maps: Of each class of each job, empty.
        groups: Tiles of one size each, in batches with their pixels; a frame's tiles are in one group, in the order of
            its grid.
    """

    maps: list[list[BlendedMap]]
    groups: list[list[tuple[Sequence[Look], Upload]]]


def looks_of(job: SegmentationJob, maps: Sequence[BlendedMap]) -> Iterator[Look]:
    """All tiles of a job's image, once per working scale."""
    for alike in grouped(range(len(maps)), lambda place: maps[place].ratio):
        own = tuple(maps[place] for place in alike)
        encodings = tuple(job.classes[place].encoding for place in alike)
        for index, tile in enumerate(own[0].grid.tiles):
            yield Look(Crop(job.image, tile, own[0].ratio), index, own, encodings)
