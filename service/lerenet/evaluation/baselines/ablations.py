"""The ablations of LERENet's paper on `metal`: the same network with one of its three parts taken out.

The product network knows no such switches: parts are injected into `LERENet`, so another part goes in. What the paper
puts in an absent part's place is not published; here nothing is, and the fusion narrows accordingly.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lerenet.evaluation.baselines.peer import INITIAL_FOREGROUND_LOGIT, enlarged
from lerenet.network.config import METAL, NetworkConfig
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.lerenet import LERENet
from lerenet.network.metal import build_metal_parts
from lerenet.network.metal.ifm import IFM
from lerenet.network.metal.mpr import MPR
from lerenet.network.metal.support import SupportPool

_QUERY = "plain_query"


def without_mpr(config: NetworkConfig = METAL) -> LERENet:
    """`metal` where the query's projection stands alone, with no reasoning written onto it."""
    parts = build_metal_parts(config)
    plain = PlainQuery(config.pyramid_channels, config.fusion_channels)
    # The pool of `parts` would go on gathering nodes with an MPR that no longer belongs to the network.
    linear = parts["prior"].discriminant
    sizes = (config.n_foreground, config.n_background)
    pool = SupportPool(config.descriptor_channels, *sizes, cast(MPR, plain), linear)
    return LERENet(config, **(parts | {"mpr": plain, "support_pool": pool}))


def without_mpe(config: NetworkConfig = METAL) -> LERENet:
    """`metal` without excitation: the fusion reads reasoning and prior alone."""
    parts = build_metal_parts(config)
    n_fused = config.fusion_channels
    parts["mpe"] = Nothing()
    parts["ifm"] = IFM(n_fused + parts["prior"].n_out, n_fused)
    return LERENet(config, **parts)


def with_plain_fusion(config: NetworkConfig = METAL) -> LERENet:
    """`metal` whose three signals are concatenated and classified, with no refinement."""
    parts = build_metal_parts(config)
    parts["ifm"] = PlainFusion(3 * config.fusion_channels + parts["prior"].n_out)
    return LERENet(config, **parts)


class PlainQuery(nn.Module):
    """In the place of the MPR: a projection of the query, and no nodes.

    Args:
        n_channels: C of the finest map.
        n_out: h.
    """

    def __init__(self, n_channels: int, n_out: int) -> None:
        super().__init__()
        self.pass_on = nn.Conv2d(n_channels, n_out, 1)

    def gather_nodes(self, cells: Tensor, weights: Tensor) -> Tensor:
        """What the support pool asks of an MPR: (M, 0, 0)."""
        return cells.new_zeros(len(cells), 0, 0)

    def shared(self, features: Features) -> dict[str, Tensor]:
        """Once per image: the projection (B, h, h', w')."""
        return {_QUERY: self.pass_on(features.maps[0])}

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P queries with P encodings to (P, h, h', w')."""
        return query.shared[_QUERY]


class Nothing(nn.Module):
    """In the place of the MPE: no channels."""

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P queries with P encodings to (P, 0, h', w')."""
        return query.maps[0][:, :0]


class PlainFusion(nn.Module):
    """In the place of the IFM: the signals side by side, one 1 x 1 convolution, bilinear enlargement.

    Args:
        n_in: Channels of the three signals together.
    """

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.classify = nn.Conv2d(n_in, 2, 1)
        self.classify.bias = nn.Parameter(torch.tensor([0.0, INITIAL_FOREGROUND_LOGIT]))

    def forward(self, mpr: Tensor, mpe: Tensor, prior: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps (P, ·, h', w') to logits (P, 2, H, W) for `size` = (H, W)."""
        return enlarged(self.classify(torch.cat([mpr, mpe, prior.to(mpr.dtype)], dim=1)), size)
