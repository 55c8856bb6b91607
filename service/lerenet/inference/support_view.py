"""What the network sees of a support set: one batch of crops with their masks, and one of defect-free images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from lerenet.inference.crops import crops_per_image, cut_normals, cut_support, mask_of, shrink_mask
from lerenet.inference.geometry import Crop
from lerenet.inference.tiles import Tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from lerenet.imaging import Image, Shot


@dataclass(frozen=True, eq=False)
class SupportView:
    """Crops of a support set.

    Attributes:
        crops: N crops of (h, w), at least one of each shot.
        masks: (N, h, w) uint8: 1 defect, 0 background, 255 beyond the image.
        owners: Index of the shot that each crop shows, ascending.
        normals: Crops of the defect-free images, of one size too.
        normal_owners: Index of the defect-free image that each of them shows, ascending.
    """

    crops: list[Crop]
    masks: Tensor
    owners: tuple[int, ...]
    normals: list[Crop]
    normal_owners: tuple[int, ...]

    def split(self, shot: int) -> tuple[list[int], list[int]]:
        """Indices of the crops that show a shot, and of all the others."""
        return _split(self.owners, shot)

    def split_normals(self, normal: int) -> tuple[list[int], list[int]]:
        """Indices of the crops that show a defect-free image, and of all the others."""
        return _split(self.normal_owners, normal)


def view_support(
    shots: Sequence[Shot],
    normals: Sequence[Image],
    *,
    ratio: int,
    side_px: int,
    multiple: int,
    device: torch.device,
) -> SupportView:
    """Cuts a support set into crops at the working scale.

    Args:
        shots: One at least.
        normals: Defect-free images, possibly none.
        ratio: Original pixels per working pixel.
        side_px: Longest side of a crop; a smaller image is seen whole.
        multiple: Sides of crops are multiples of this.
        device: Where the masks shall be.
    """
    smalls = [shrink_mask(shot.mask, ratio) for shot in shots]
    max_crops = crops_per_image(len(shots))
    windows = [cut_support(small, side_px=side_px, multiple=multiple, max_crops=max_crops) for small in smalls]
    owners = _owners(windows)
    height, width = (
        max(sides) for sides in zip(*((t.height, t.width) for tiles in windows for t in tiles), strict=True)
    )
    tiles = [Tile(tile.top, tile.left, height, width) for window in windows for tile in window]
    masks = np.stack([mask_of(smalls[owner], tile) for owner, tile in zip(owners, tiles, strict=True)])
    crops = [Crop(shots[owner].image, tile, ratio) for owner, tile in zip(owners, tiles, strict=True)]
    plain = _view_normals(normals, ratio=ratio, side_px=side_px, multiple=multiple)
    return SupportView(
        crops, torch.from_numpy(masks).to(device), owners, [crop for own in plain for crop in own], _owners(plain)
    )


def _view_normals(normals: Sequence[Image], *, ratio: int, side_px: int, multiple: int) -> list[list[Crop]]:
    if not normals:
        return []
    sizes = [(-(-image.shape[0] // ratio), -(-image.shape[1] // ratio)) for image in normals]
    windows = cut_normals(sizes, side_px=side_px, multiple=multiple, max_crops=crops_per_image(len(normals)))
    return [[Crop(image, tile, ratio) for tile in tiles] for image, tiles in zip(normals, windows, strict=True)]


def _owners(parts: Sequence[Sequence[object]]) -> tuple[int, ...]:
    return tuple(owner for owner, part in enumerate(parts) for _ in part)


def _split(owners: Sequence[int], chosen: int) -> tuple[list[int], list[int]]:
    own = [index for index, owner in enumerate(owners) if owner == chosen]
    return own, [index for index, owner in enumerate(owners) if owner != chosen]
