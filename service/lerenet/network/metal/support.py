"""From a support set to prototypes whose size no number of shots changes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision
from lerenet.network.metal.mpr import MPR
from lerenet.network.metal.names import BACKGROUND, FOREGROUND, NODES, background_bank, foreground_bank
from lerenet.network.metal.prior import unit_cells


class SupportPool(nn.Module):
    """Descriptor banks per level, pooled prototypes, and the support's reasoning nodes.

    A bank takes evenly spaced ranks of the cells sorted along one fixed direction of descriptor space. So it is a
    sample spread over what the cells look like, the order of the shots does not matter, and K copies of one shot give
    the bank of one.

    Everything else is a sum over cells, taken per image first and joined over the shots of a class after, so that an
    image that serves several classes or several held-out subsets is read once.

    Args:
        channels: Of the maps, finest first.
        n_foreground: Descriptors per foreground bank.
        n_background: Descriptors per background bank.
        mpr: Gathers the support's nodes with its own projections.
    """

    def __init__(self, channels: tuple[int, ...], n_foreground: int, n_background: int, mpr: MPR) -> None:
        super().__init__()
        self.n_foreground = n_foreground
        self.n_background = n_background
        # A plain reference: the projections are parameters of the MPR and must not be counted twice.
        self._gather_nodes = mpr.gather_nodes
        generator = torch.Generator().manual_seed(0)
        for level, c in enumerate(channels):
            direction = F.normalize(torch.randn(c, generator=generator), dim=0)
            self.register_buffer(f"direction_{level}", direction, persistent=False)

    def forward(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """Pool the shots of B classes.

        Args:
            features: Of M support images.
            masks: (M, H, W), 1 defect, 0 background, 255 ignore.
            shots: (B, K) int64, the images of each class.
            normals: Features of B * N defect-free images, N per class; all their cells are background.

        Returns:
            Per level banks (B, n, C) of unit length; pooled prototypes (B, C); nodes (B, d, V).
        """
        tensors: dict[str, Tensor] = {}
        for level in range(len(features.maps)):
            tensors |= self._banks(level, features, masks, shots, normals)
        finest = features.maps[0]
        foreground, background = _shares(masks, finest)
        cells = _cells(finest).float()
        total, area = _weighted_sums(cells, foreground)
        tensors[FOREGROUND] = _merged(total, area, shots)
        tensors[BACKGROUND] = self._background_mean(cells, background, shots, normals)
        tensors[NODES] = _merged(self._gather_nodes(unit_cells(features, 0), foreground), area, shots)
        return SupportEncoding(tensors)

    def _banks(
        self, level: int, features: Features, masks: Tensor, shots: Tensor, normals: Features | None
    ) -> dict[str, Tensor]:
        direction = self.get_buffer(f"direction_{level}")
        cells = unit_cells(features, level)
        is_foreground, is_background = _membership(masks, features.maps[level])
        background_key = _sort_key(cells, direction, is_background)[shots].flatten(1)
        rows = _cells(cells).flatten(0, 1)
        n_cells = is_foreground.shape[1]
        index = (shots[..., None] * n_cells + torch.arange(n_cells, device=shots.device)).flatten(1)
        foreground_key = _sort_key(cells, direction, is_foreground)[shots].flatten(1)
        foreground = _spread_sample(rows, index, foreground_key, self.n_foreground)
        if normals is not None:
            extra = unit_cells(normals, level)
            everywhere = torch.ones(len(extra), extra[0, 0].numel(), dtype=torch.bool, device=extra.device)
            extra_index = torch.arange(everywhere.numel(), device=shots.device).view(len(shots), -1) + len(rows)
            rows = torch.cat([rows, _cells(extra).flatten(0, 1)])
            index = torch.cat([index, extra_index], dim=1)
            extra_key = _sort_key(extra, direction, everywhere).view(len(shots), -1)
            background_key = torch.cat([background_key, extra_key], dim=1)
        background = _spread_sample(rows, index, background_key, self.n_background)
        return {foreground_bank(level): foreground, background_bank(level): background}

    def _background_mean(self, cells: Tensor, weights: Tensor, shots: Tensor, normals: Features | None) -> Tensor:
        total, area = _weighted_sums(cells, weights)
        total, area = total[shots].sum(1), area[shots].sum(1)
        if normals is not None:
            extra = _cells(normals.maps[0]).float().flatten(0, 1).unflatten(0, (len(shots), -1))
            total, area = total + extra.sum(1), area + extra.shape[1]
        return total / area.clamp_min(_LEAST_AREA)[:, None]


_LEAST_AREA = 1e-4


def _cells(level_map: Tensor) -> Tensor:
    """(M, C, h, w) to (M, h * w, C)."""
    return level_map.flatten(2).mT


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


@torch.no_grad()
def _sort_key(cells: Tensor, direction: Tensor, member: Tensor) -> Tensor:
    """(M, C, h, w) to (M, h * w): where each member cell lies along the direction; others at infinity."""
    with full_precision(cells):  # bfloat16 keys would tie, and ties are broken by the order of the shots
        along = torch.einsum("mchw,c->mhw", cells, direction).flatten(1)
    return along.masked_fill(~member, torch.inf)


def _spread_sample(rows: Tensor, index: Tensor, key: Tensor, n: int) -> Tensor:
    """The bank (B, n, C) out of all cells (rows, C), where `index` and `key` (B, cells) say which belong to a class.

    Without any finite key it is all zeros, which resembles nothing.
    """
    exists = key.isfinite().any(1)[:, None, None]
    return rows[index.gather(1, _spread(key, n))] * exists


@torch.no_grad()
def _spread(key: Tensor, n: int) -> Tensor:
    """Positions (B, n) of evenly spaced ranks among the finite keys (B, cells), repeated where those are fewer."""
    count = key.isfinite().sum(1, keepdim=True)
    # floor((i + 1/2) count / n) in integers: float32 runs out of digits at some 30,000 cells.
    rank = (2 * torch.arange(n, device=key.device) + 1) * count // (2 * n)
    return key.argsort(dim=1, stable=True).gather(1, rank)


def _weighted_sums(cells: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Cells (M, n, C) with weights (M, n) to weighted sums (M, C) and total weights (M,)."""
    with full_precision(cells):
        return torch.einsum("mnc,mn->mc", cells, weights), weights.sum(1)


def _merged(sums: Tensor, areas: Tensor, shots: Tensor) -> Tensor:
    """Join per-image sums (M, ...) over the shots (B, K) of each class and divide by their common area: (B, ...)."""
    total, area = sums[shots].sum(1), areas[shots].sum(1).clamp_min(_LEAST_AREA)
    return total / area.view(-1, *[1] * (total.ndim - 1))
