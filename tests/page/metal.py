"""Plates for the page's journey, and a segmenter that tells their defects by grey level and learns from normals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fakes import LevelSegmenter, Map
from lerenet.imaging import Image, Mask, Shot, encode_image_png
from lerenet.inference.encodings import ClassEncoding
from lerenet.network import SupportEncoding

SIDE_PX = 200
DEFECT, GLARE = 205, 184
NEVER = -1e3

Spot = tuple[float, float, float, float]


def plate(seed: int, spots: Sequence[Spot] = (), level: int = DEFECT) -> tuple[Image, Mask]:
    """A brushed plate with spots (x, y, half width, half height) of one level, and their mask."""
    rng = np.random.default_rng(seed)
    streaks = rng.normal(0, 9, (SIDE_PX, 1)) + rng.normal(0, 5, (SIDE_PX, SIDE_PX))
    surface = 96 + 14 * np.sin(np.linspace(0, 3, SIDE_PX)) + streaks
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] + 0.5
    depth = np.zeros((SIDE_PX, SIDE_PX))
    for cx, cy, rx, ry in spots:
        turned = (y - cy) + 0.35 * (x - cx)
        depth = np.maximum(depth, 1.25 - np.hypot((x - cx) / rx, turned / ry))
    weight = np.clip(2.5 * depth, 0, 1)
    spot = level + rng.normal(0, 2, (SIDE_PX, SIDE_PX))
    image = np.clip(surface * (1 - weight) + spot * weight, 0, 255).astype(np.uint8)
    return image, (weight == 1).astype(np.uint8)


SHOTS = [
    plate(1, [(70, 80, 34, 7)]),
    plate(2, [(130, 60, 26, 6), (60, 140, 18, 6)]),
    plate(3, [(100, 110, 40, 5)]),
]
FRAMES = [
    plate(11, [(60, 60, 30, 6)]),
    plate(12, [(120, 130, 24, 8), (50, 40, 12, 5)]),
    plate(13),
    plate(14, [(140, 90, 30, 5), (40, 150, 16, 7), (90, 40, 10, 4)]),
    plate(15, [(80, 150, 36, 6)]),
    plate(16, [(118, 74, 22, 9)], GLARE),
]
FALSE_ALARM = 5


def write(folder: Path, plates: Sequence[tuple[Image, Mask]], stem: str) -> list[Path]:
    """Plates as files."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}_{i + 1:02d}.png" for i in range(len(plates))]
    for path, (image, _) in zip(paths, plates, strict=True):
        path.write_bytes(encode_image_png(image))
    return paths


class LearningSegmenter(LevelSegmenter):
    """As its base; what comes nearer to the brightest level of a normal than to that of the class is not marked."""

    def encode_unfitted(self, shots: Sequence[Shot]) -> ClassEncoding:
        return self._encoded(shots, NEVER)

    def encode_in_steps(self, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> Iterator[ClassEncoding | None]:
        yield None
        yield self._encoded(shots, max((float(np.percentile(each, 99.5)) for each in normals), default=NEVER))

    def _encoded(self, shots: Sequence[Shot], clean: float) -> ClassEncoding:
        tensors = super().encode_unfitted(shots).encoding.tensors
        return ClassEncoding(1.0, SupportEncoding({**tensors, "clean": torch.tensor([clean])}))

    def _map(self, image: Image, encoding: ClassEncoding) -> Map:
        q = super()._map(image, encoding)
        clean, level = (encoding.encoding.tensors[name].item() for name in ("clean", "level"))
        grey: NDArray[np.float64] = (image if image.ndim == 2 else image[..., 0]).astype(float)
        is_clean = np.abs(grey - clean) < np.abs(grey - level)
        q[is_clean] = 0
        return q
