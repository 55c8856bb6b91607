"""HSNet: Hypercorrelation Squeeze for Few-Shot Segmentation. Min, Kang and Cho, ICCV 2021, arXiv 2104.01538."""

from __future__ import annotations

import math
from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.evaluation.baselines.center_pivot import Squeeze, grown_to
from lerenet.evaluation.baselines.peer import TrainedPeer, chosen, classifier, coverage, enlarged
from lerenet.network.config import METAL, NetworkConfig
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision

N_CHANNELS = 32
SUPPORT_GRID = 8


class HSNet(TrainedPeer):
    """Cosines of every query cell with every support cell, in many layers, squeezed by 4D convolutions to a mask.

    Source: arXiv 2104.01538, sections 4.1 (hypercorrelations: each block's maps, the support's masked, cosines below
        zero dropped, stacked by stride) to 4.3 (centre-pivot 4D pyramid, 2D decoder) and 4.4 (each shot by itself, then
        averaged). We differ: the stages of `metal`'s encoder (without its top-down path), trained, where the paper has
        frozen ImageNet features; strides 4, 8, 16 instead of 8, 16, 32; the support's side of a correlation is
        averaged to 8 x 8 cells whatever the image; two squeezing blocks a level, 32 channels at most; shots average
        their probabilities, not their thresholded masks.

    Args:
        config: Gives the channels of the encoder.
        n_channels: Channels c of the squeezed correlations.
    """

    def __init__(self, config: NetworkConfig = METAL, n_channels: int = N_CHANNELS) -> None:
        super().__init__(config)
        c = n_channels
        del self.backbone.lateral, self.backbone.smooth  # the correlations take the stages as they are
        n_blocks = [len(stage) for stage in self._stages()]
        self.levels = list(accumulate(n_blocks, initial=0))  # where each level's maps start
        self.squeeze = nn.ModuleList(Squeeze(n, (c // 2, c), stride=2) for n in n_blocks)
        self.mix = nn.ModuleList(Squeeze(c, (c,), stride=1) for _ in n_blocks[1:])
        self.decode = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(), nn.Conv2d(c, c, 3, padding=1), nn.ReLU())
        self.finish = classifier(c, c // 2)

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps of every residual block, in order."""
        found, x = [], self.backbone.stem(images)
        for stage in self._stages():
            for block in stage:
                x = block(x)
                found.append(x)
        return tuple(found)

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """Per map the masked cells (B, K, C, 64) at unit length; normals are not read."""
        tensors = {_name(i): _masked_cells(each, masks)[shots] for i, each in enumerate(features.maps)}
        return SupportEncoding(tensors)

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """Logits whose softmax is the mean of the shots' probabilities; see `LERENet.segment`."""
        query = chosen(features, image_index)
        cells = [F.normalize(each.float(), dim=1) for each in query.maps]
        n_shots = encoding.tensors[_name(0)].shape[1]
        # One shot after the other: the correlations of all at once would not fit into memory.
        shots = [enlarged(self._match(cells, encoding, shot), features.size) for shot in range(n_shots)]
        if n_shots == 1:
            return shots[0]
        return torch.stack(shots).log_softmax(2).logsumexp(0) - math.log(n_shots)

    def _match(self, cells: list[Tensor], encoding: SupportEncoding, shot: int) -> Tensor:
        """Logits (P, 2, h, w) of one shot at half the resolution of the image."""
        support = [encoding.tensors[_name(i)][:, shot] for i in range(len(cells))]
        pairs = list(zip(cells, support, strict=True))
        correlations = [_correlation(pairs[start:stop]) for start, stop in pairwise(self.levels)]
        squeezed = [squeeze(each) for squeeze, each in zip(self.squeeze, correlations, strict=True)]
        mixed = squeezed[-1]
        for finer, mix in zip(reversed(squeezed[:-1]), self.mix, strict=True):
            mixed = mix(finer + grown_to(mixed, finer))
        decoded = self.decode(mixed.mean((4, 5)))
        logits: Tensor = self.finish(F.interpolate(decoded, scale_factor=2, mode="bilinear", align_corners=False))
        return logits

    def _stages(self) -> list[nn.Sequential]:
        return [self.backbone.stage4, self.backbone.stage8, self.backbone.stage16]


def _name(index: int) -> str:
    return f"cells_{index}"


def _masked_cells(maps: Tensor, masks: Tensor) -> Tensor:
    """(M, C, h, w) to (M, C, 64): what the defect looks like in each cell of the grid, zero where there is none."""
    masked = maps.float() * coverage(masks, maps)
    return F.normalize(F.adaptive_avg_pool2d(masked, SUPPORT_GRID), dim=1).flatten(2)


def _correlation(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Query cells (P, C, h, w) with support cells (P, C, 64) to cosines (P, layers, h, w, 8, 8), none below 0."""
    with full_precision(pairs[0][0]):
        cosines = [query.flatten(2).mT @ support for query, support in pairs]
    stacked = torch.stack(cosines, dim=1).relu()
    h, w = pairs[0][0].shape[-2:]
    return stacked.reshape(len(stacked), len(pairs), h, w, SUPPORT_GRID, SUPPORT_GRID)
