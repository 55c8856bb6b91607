"""From a support set to prototypes whose size no number of shots changes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision
from lerenet.network.metal.banks import CellPool
from lerenet.network.metal.discriminant import Discriminant, moments
from lerenet.network.metal.mpr import MPR
from lerenet.network.metal.names import (
    BACKGROUND,
    FINEST,
    FOREGROUND,
    NODES,
    PROTOTYPES,
    background_bank,
    descriptor,
    discriminant,
    foreground_bank,
)

_LEAST_AREA = 1e-4
_MOST_HALVINGS = 3


class SupportPool(nn.Module):
    """Per level a descriptor bank of each side and the discriminant between them; pooled prototypes; reasoning nodes.

    The first half of a bank is spread over all of its side. The second half of the background's is what looks most like
    the defect: where the support shows a likeness to be sound. That of the defect's is what looks least like the
    background: an outline drawn wide, or one odd shot among several, makes sound metal a part of the first.

    Of K shots, the defect's side is the K-th part of all marked cells that is least like any background: as many as one
    shot brings. With more shots a bank of all would resemble more and more of what is sound, and a class that was
    registered with five would mark more than with one. For the same reason each shot has a discriminant of its own,
    and the class has their mean: one fitted to all at once takes what differs between the shots for the defect.

    Everything but the banks is a sum over cells, taken per image first and joined over the shots of a class after, so
    that an image that serves several classes or several held-out subsets is read once.

    Args:
        channels: d of each level's descriptors.
        n_foreground: Descriptors per foreground bank.
        n_background: Descriptors per background bank, even; in training a half, a quarter or an eighth of it at times.
        mpr: Gathers the support's nodes with its own projections.
        linear: The discriminant that is fitted to the support.
    """

    def __init__(
        self, channels: tuple[int, ...], n_foreground: int, n_background: int, mpr: MPR, linear: Discriminant
    ) -> None:
        super().__init__()
        self.n_foreground = n_foreground
        self.n_background = n_background
        # Plain references: their parameters belong to those parts and must not be counted twice.
        self._gather_nodes = mpr.gather_nodes
        self._fit = linear.fit
        generator = torch.Generator().manual_seed(0)
        for level, d in enumerate(channels):
            direction = F.normalize(torch.randn(d, generator=generator), dim=0)
            self.register_buffer(f"direction_{level}", direction, persistent=False)

    def forward(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """Pool the shots of B classes.

        Args:
            features: Of M support images, with their descriptors.
            masks: (M, H, W), 1 defect, 0 background, 255 ignore.
            shots: (B, K) int64, the images of each class.
            normals: Features of B * N defect-free images, N per class; all their cells are background.

        Returns:
            Per level banks (B, n, d) of unit length and a discriminant (B, d + 1); pooled cells (B, C) of the finest
            map, background and defect, and the same of its descriptors (B, 2, d); nodes (B, d, V).
        """
        tensors: dict[str, Tensor] = {}
        for level in range(len(features.maps)):
            tensors |= self._banks(level, features, masks, shots, normals)
            background, foreground = _moments_by_shot(level, features, masks, shots, normals)
            fitted = self._fit(level, _averaged(foreground).flatten(0, 1), _averaged(background).flatten(0, 1))
            tensors[discriminant(level)] = fitted.unflatten(0, shots.shape).mean(1)
            if level == FINEST:
                sides = torch.stack([background.sum(1), foreground.sum(1)], dim=1)
                tensors[PROTOTYPES] = F.normalize(_averaged(sides)[..., :-1, -1], dim=2)
        return SupportEncoding(tensors | self._pooled(features, masks, shots, normals))

    def _banks(
        self, level: int, features: Features, masks: Tensor, shots: Tensor, normals: Features | None
    ) -> dict[str, Tensor]:
        direction = self.get_buffer(f"direction_{level}")
        cells = _descriptors(features, level)
        is_foreground, is_background = _membership(masks, features.maps[level])
        background = CellPool.of_shots(cells, direction, shots, is_background)
        if normals is not None:
            extra = _descriptors(normals, level)
            each = torch.arange(len(extra), device=shots.device).view(len(shots), -1)
            everywhere = torch.ones_like(extra[:, 0], dtype=torch.bool)
            background = background.joined(CellPool.of_shots(extra, direction, each, everywhere))
        n_foreground, n_background = self.n_foreground // 2, self._n_background() // 2
        typical_background = background.spread(n_background)
        marked = CellPool.of_shots(cells, direction, shots, is_foreground)
        foreground = marked.least_like(typical_background, 1 / shots.shape[1])
        typical_foreground = foreground.spread(n_foreground)
        telling = foreground.least_like(typical_background).spread(n_foreground)
        likeness = background.most_like(typical_foreground).spread(n_background)
        return {
            foreground_bank(level): torch.cat([typical_foreground, telling], dim=1),
            background_bank(level): torch.cat([typical_background, likeness], dim=1),
        }

    def _n_background(self) -> int:
        """Frames hold many times the cells of a training plate: there, banks are as thin as they will be here."""
        return self.n_background >> int(torch.randint(_MOST_HALVINGS + 1, ())) if self.training else self.n_background

    def _pooled(self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None) -> dict[str, Tensor]:
        finest = features.maps[FINEST]
        shares = torch.stack(_shares(masks, finest), dim=1)
        sums, areas = _weighted_sums(finest, shares)
        totals, area = sums[shots].sum(1), areas[shots].sum(1)  # (B, 2, C) and (B, 2): defect, background
        if normals is not None:
            extra = normals.maps[FINEST].float().unflatten(0, (len(shots), -1))
            totals[:, 1] += extra.sum((1, 3, 4))
            area[:, 1] += extra[:, :, 0].flatten(1).shape[1]
        means = totals / area.clamp_min(_LEAST_AREA)[..., None]
        nodes = self._gather_nodes(features.shared[descriptor(FINEST)], shares[:, 0])[shots].sum(1)
        nodes = nodes / area[:, :1, None].clamp_min(_LEAST_AREA)
        return {FOREGROUND: means[:, 0], BACKGROUND: means[:, 1], NODES: nodes}


def _descriptors(features: Features, level: int) -> Tensor:
    """A level's descriptors (M, d, n)."""
    return features.shared[descriptor(level)].flatten(2)


def _moments_by_shot(
    level: int, features: Features, masks: Tensor, shots: Tensor, normals: Features | None
) -> tuple[Tensor, Tensor]:
    """Summed moments (B, K, d + 1, d + 1) of a level's background and defect; the shots share the normals' in parts."""
    cells = _descriptors(features, level)
    defect, clear = _shares(masks, features.maps[level])
    foreground, background = (moments(cells, weights)[shots] for weights in (defect, clear))
    if normals is not None:
        extra = _descriptors(normals, level)
        sums = moments(extra, torch.ones_like(extra[:, 0])).unflatten(0, (len(shots), -1)).sum(1, keepdim=True)
        background = background + sums / shots.shape[1]
    return background, foreground


def _averaged(sums: Tensor) -> Tensor:
    return sums / sums[..., -1:, -1:].clamp_min(_LEAST_AREA)


def _shares(masks: Tensor, level_map: Tensor) -> tuple[Tensor, Tensor]:
    """Share of each cell that is defect, and that is background: (M, h * w) each; the rest is ignored."""
    stride = masks.shape[-1] // level_map.shape[-1]
    defect = F.avg_pool2d((masks == 1).float(), stride).flatten(1)
    clear = F.avg_pool2d((masks == 0).float(), stride).flatten(1)
    return defect, clear


def _membership(masks: Tensor, level_map: Tensor) -> tuple[Tensor, Tensor]:
    """Which cells (M, h * w) count as foreground and as background.

    A thin defect fills no cell: where none is half covered, the image's best covered cells stand for it. Cells of
    mixed content are neither, unless there is no clearer one.
    """
    defect, clear = _shares(masks, level_map)
    is_foreground = (defect >= (0.99 * defect.amax(1, keepdim=True)).clamp_max(0.5)) & (defect > 0)
    is_background = (clear >= 0.99 * clear.amax(1, keepdim=True)) & (clear > 0)
    return is_foreground, is_background


def _weighted_sums(level_map: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """A map (M, C, h, w) with weights (M, 2, n) to weighted sums (M, 2, C) and total weights (M, 2)."""
    with full_precision(level_map):
        return weights @ level_map.flatten(2).mT.float(), weights.sum(2)
