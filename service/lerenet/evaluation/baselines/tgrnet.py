"""TGRNet: graph reasoning over a triplet of query, defect and sound metal.

Triplet-Graph Reasoning Network for Few-Shot Metal Generic Surface Defect Segmentation. Bao et al., IEEE TIM 2021.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.evaluation.baselines.peer import TrainedPeer, chosen, classifier, coverage, enlarged
from lerenet.network.config import METAL, NetworkConfig
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import conv_norm_relu, full_precision, on_grid
from lerenet.network.paper.mpr import MPR
from lerenet.network.paper.support import DESCRIPTORS

N_CHANNELS = 48
DILATIONS = (6, 12, 18)
DEFECT, SOUND = "defect", "sound"
_SMALLEST_RANGE = 1e-7


class TGRNet(TrainedPeer):
    """A graph relates the query to the marked support and again to sound metal; the difference of both decides.

    Positions are paired, so support and query must have one size: see `CommonSquare`.

    Source: Bao et al. 2021 and its code, bbbbby-99/TGRNet-Surface-Defect-Segmentation. The graph unit is the one that
        LERENet's MPR was made from, so that class serves here. We differ: the encoder of `metal`, whose top-down path
        stands for the triplet encoder, masked after it instead of at every stage; 48 channels in the head, with batch
        norm; the cells that a similarity may find pooled 2 x 2; and sound metal is what the support shows beyond its
        defect unless defect-free images are given, since no other row needs one to learn. Mended: the released
        similarity map lies on the support's grid, here on the query's; its two prototype losses carry no gradient
        there and are left out.

    Args:
        config: Gives the channels of the encoder.
        n_channels: Of the head.
    """

    def __init__(self, config: NetworkConfig = METAL, n_channels: int = N_CHANNELS) -> None:
        super().__init__(config)
        self.graph = MPR(self.channels[0])
        self.decide = Decision(self.channels[0], n_channels)
        self.similarity_weight = nn.Parameter(torch.zeros(()))

    def shared(self, maps: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The query's side of the graph."""
        return self.graph.shared(Features(maps[:1], (0, 0), {}))

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """Maps (B, C, h, w) of defect and of sound metal, each averaged over its images, position by position."""
        finest = features.maps[0]
        marked = coverage(masks, finest)
        if normals is None:
            sound = (finest * (1 - marked))[shots].mean(1)
        else:
            sound = normals.maps[0].float().unflatten(0, (len(shots), -1)).mean(1)
        return SupportEncoding({DEFECT: (finest * marked)[shots].mean(1), SOUND: sound})

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """See `LERENet.segment`.

        Raises:
            ValueError: Support and query have different sizes.
        """
        query = chosen(replace(features, maps=features.maps[:1]), image_index)
        defect, sound = encoding.tensors[DEFECT], encoding.tensors[SOUND]
        logits = self._decide(query, defect) - self._decide(query, sound)
        similarities = torch.cat([_similarity(query.maps[0], each) for each in (sound, defect)], dim=1)
        return enlarged(logits.float() + self.similarity_weight * similarities, features.size)

    def _decide(self, query: Features, support: Tensor) -> Tensor:
        return cast(Tensor, self.decide(self.graph(query, SupportEncoding({DESCRIPTORS: support}))))


class Decision(nn.Module):
    """A related map (P, n_in, h, w) to logits (P, 2, h, w): three residual steps, a pyramid of dilations, a classifier.

    Args:
        n_in: C.
        n_channels: c.
    """

    def __init__(self, n_in: int, n_channels: int) -> None:
        super().__init__()
        c = n_channels
        self.reduce = conv_norm_relu(n_in, c, 1)
        self.steps = nn.ModuleList(
            (
                conv_norm_relu(c, c, 1),
                nn.Sequential(conv_norm_relu(c, c), conv_norm_relu(c, c)),
                nn.Sequential(conv_norm_relu(c, c), conv_norm_relu(c, c)),
            )
        )
        self.near = conv_norm_relu(c, c, 1)
        self.far = nn.ModuleList(nn.Conv2d(c, c, 3, padding=d, dilation=d) for d in DILATIONS)
        self.whole = nn.Conv2d(c, c, 1)
        self.join = conv_norm_relu((len(DILATIONS) + 2) * c, c, 1)
        self.classify = classifier(c, c)

    def forward(self, related: Tensor) -> Tensor:
        """See the class."""
        x = self.reduce(related)
        for step in self.steps:
            x = x + step(x)
        whole = self.whole(x.mean((2, 3), keepdim=True)).relu().expand_as(x)
        looks = [self.near(x), *(look(x).relu() for look in self.far), whole]
        logits: Tensor = self.classify(self.join(torch.cat(looks, dim=1)))
        return logits


def _similarity(query: Tensor, support: Tensor) -> Tensor:
    """Per query cell the best cosine to a support cell, both turned by the Gram matrix of query and support.

    Args:
        query: (P, C, h, w).
        support: (P, C, h, w), zero where it does not count.

    Returns:
        (P, 1, h, w) float32, stretched to 0 … 1 in each image, as published.
    """
    with full_precision(query):
        cells = query.float().flatten(2)
        gram = support.float().flatten(2) @ cells.mT  # (P, C, C)
        seen = F.avg_pool2d(support.float(), 2).flatten(2)
        best = _best_cosine(F.normalize(gram @ seen, dim=1), F.normalize(gram @ cells, dim=1))
    least, most = best.amin(1, keepdim=True), best.amax(1, keepdim=True)
    return on_grid((best - least) / (most - least + _SMALLEST_RANGE), query)[:, None]


def _best_cosine(seen: Tensor, cells: Tensor) -> Tensor:
    """Unit vectors (P, C, n) and (P, C, L): per cell the largest cosine, (P, L)."""
    # All of the gradient goes to the nearest: the matrix of all cosines need not be kept for the way back.
    with torch.no_grad():
        nearest = (seen.mT @ cells).argmax(1)
    return (seen.gather(2, nearest[:, None].expand(-1, seen.shape[1], -1)) * cells).sum(1)
