"""Pixels of crops on their way to the device: bytes, side by side in one buffer, that travel at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lerenet.inference.geometry import Crop


@dataclass(frozen=True, eq=False)
class Upload:
    """Crops of one size, and what they need of their images.

    Attributes:
        crops: One at least.
        pixels: (n,) uint8 in host memory; page-locked when they go to a GPU, so that the copy runs beside other work.
    """

    crops: Sequence[Crop]
    pixels: Tensor

    @classmethod
    def packed(cls, crops: Sequence[Crop], device: torch.device) -> Upload:
        """Copies the pixels out of the images. Any thread may do so: torch computes nothing here."""
        n_bytes = sum(crop.n_bytes for crop in crops)
        # torch keeps page-locked blocks and hands them out again once their copy has arrived: the staging ring
        pixels = torch.empty(n_bytes, dtype=torch.uint8, pin_memory=device.type == "cuda")
        flat, start = pixels.numpy(), 0
        for crop in crops:
            crop.copy_to(flat[start : start + crop.n_bytes])
            start += crop.n_bytes
        return cls(crops, pixels)

    def images(self, device: torch.device) -> Tensor:
        """What the network sees: (B, 3, h, w) float32 RGB in [0, 1], channels innermost; a grey image three times."""
        pixels, start, done = self.pixels.to(device, non_blocking=True), 0, 0
        images = torch.empty(
            (len(self.crops), 3, *self.crops[0].size), device=device, memory_format=torch.channels_last
        )
        # crops of one kind, as the frames of a camera are, take as many operations together as one would alone
        for _, alike in groupby(self.crops, key=lambda crop: crop.kind):
            crops = list(alike)
            n_bytes = len(crops) * crops[0].n_bytes
            images[done : done + len(crops)] = crops[0].seen(pixels[start : start + n_bytes])
            start, done = start + n_bytes, done + len(crops)
        return images
