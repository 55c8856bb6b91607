"""PFENet: a prior of the deepest features, and enrichment of the query at several sizes.

Prior Guided Feature Enrichment Network for Few-Shot Segmentation. Tian et al., TPAMI 2020, arXiv 2008.01449.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.evaluation.baselines.peer import TrainedPeer, chosen, classifier, coverage, enlarged, masked_mean
from lerenet.network.config import METAL, NetworkConfig
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import conv_norm_relu, full_precision, on_grid, resized_to

N_CHANNELS = 64
RATIOS = (1, 2, 4, 8)
PROTOTYPE, BANK = "prototype", "bank"
_QUERY, _DEEPEST = "query", "deepest"
_SMALLEST_RANGE = 1e-7


class PFENet(TrainedPeer):
    """Mid-level features are enriched by the class's prototype and a prior of the deepest features, at four sizes.

    Source: arXiv 2008.01449, sections 3.2 (prior: per query cell the best cosine to a masked support cell, stretched to
        0 … 1 in each image, averaged over the shots) and 3.3 (enrichment, top-down merging). We differ: the encoder of
        `metal`, trained, so the deepest map is read without gradient where the paper has frozen ImageNet features; the
        map of stride 4 joins that of stride 8; 64 channels instead of 256; batch norm in the head, and no dropout;
        sizes are fractions of the query's grid; one loss at the end, without those of the intermediate sizes.

    Args:
        config: Gives the channels of the encoder.
        n_channels: Of the head.
    """

    def __init__(self, config: NetworkConfig = METAL, n_channels: int = N_CHANNELS) -> None:
        super().__init__(config)
        n_middle = self.channels[0] + self.channels[1]
        self.reduce_query = conv_norm_relu(n_middle, n_channels, 1)
        self.reduce_support = conv_norm_relu(n_middle, n_channels, 1)
        self.enrich = Enrichment(n_channels)

    def shared(self, maps: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The query's reduced mid-level map and its deepest cells at unit length."""
        return {_QUERY: self.reduce_query(_middle(maps)), _DEEPEST: _unit(maps[-1])}

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """Prototype (B, c) and bank (B, K, L, C) of deepest cells, zero beyond the mask; normals are not read."""
        reduced = self.reduce_support(_middle(features.maps))
        prototypes = masked_mean(reduced, coverage(masks, reduced))
        deepest = features.maps[-1]
        cells = _unit(deepest) * (coverage(masks, deepest) > 0)
        return SupportEncoding({PROTOTYPE: prototypes[shots].mean(1), BANK: cells.flatten(2).mT[shots]})

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """See `LERENet.segment`."""
        query = chosen(features, image_index)
        prior = _prior(query.shared[_DEEPEST], encoding.tensors[BANK])
        logits = self.enrich(query.shared[_QUERY], encoding.tensors[PROTOTYPE], prior)
        return enlarged(logits, features.size)


class Enrichment(nn.Module):
    """Query, prototype and prior merged at several sizes, finer sizes passing on to coarser ones, then read together.

    Source: arXiv 2008.01449, section 3.3 (inter-source enrichment, inter-scale interaction, information concentration).

    Args:
        n_channels: c.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        c = n_channels
        self.merge = nn.ModuleList(conv_norm_relu(2 * c + 1, c, 1) for _ in RATIOS)
        self.pass_on = nn.ModuleList(conv_norm_relu(2 * c, c, 1) for _ in pairwise(RATIOS))
        self.refine = nn.ModuleList(nn.Sequential(conv_norm_relu(c, c), conv_norm_relu(c, c)) for _ in RATIOS)
        self.gather = conv_norm_relu(len(RATIOS) * c, c, 1)
        self.finish = nn.Sequential(conv_norm_relu(c, c), conv_norm_relu(c, c))
        self.classify = classifier(c, c)

    def forward(self, query: Tensor, prototype: Tensor, prior: Tensor) -> Tensor:
        """Maps (P, c, h, w) and (P, 1, h', w') with vectors (P, c) to logits (P, 2, h, w)."""
        enriched: list[Tensor] = []
        for step, ratio in enumerate(RATIOS):
            merged = self.merge[step](_joined(query, prototype, prior, ratio))
            if enriched:
                from_finer = F.adaptive_avg_pool2d(enriched[-1], (merged.shape[-2], merged.shape[-1]))
                merged = merged + self.pass_on[step - 1](torch.cat([merged, from_finer], dim=1))
            enriched.append(merged + self.refine[step](merged))
        gathered = self.gather(torch.cat([resized_to(each, query) for each in enriched], dim=1))
        logits: Tensor = self.classify(gathered + self.finish(gathered))
        return logits


def _joined(query: Tensor, prototype: Tensor, prior: Tensor, ratio: int) -> Tensor:
    """All three on the query's grid divided by `ratio`."""
    h, w = (max(1, side // ratio) for side in query.shape[-2:])
    pooled = F.adaptive_avg_pool2d(query, (h, w))
    everywhere = prototype.to(pooled.dtype)[..., None, None].expand(-1, -1, h, w)
    return torch.cat([pooled, everywhere, resized_to(prior, pooled).to(pooled.dtype)], dim=1)


@torch.no_grad()
def _prior(cells: Tensor, bank: Tensor) -> Tensor:
    """Unit cells (P, C, h, w) and banks (P, K, L, C) to the prior (P, 1, h, w) in 0 … 1."""
    with full_precision(cells):
        shots = [(each @ cells.flatten(2)).amax(1) for each in bank.unbind(1)]  # (P, h * w) each
        return on_grid(torch.stack([_stretched(each) for each in shots]).mean(0), cells)[:, None]


def _stretched(values: Tensor) -> Tensor:
    least, most = values.amin(1, keepdim=True), values.amax(1, keepdim=True)
    return (values - least) / (most - least + _SMALLEST_RANGE)


def _middle(maps: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([maps[0], resized_to(maps[1], maps[0])], dim=1)


@torch.no_grad()
def _unit(deepest: Tensor) -> Tensor:
    return F.normalize(deepest.float(), dim=1)
