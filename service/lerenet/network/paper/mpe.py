"""Multi-Prototype Excitation (MPE) of the published network: channel, then spatial excitation of the query map."""

from __future__ import annotations

from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.paper.support import paired_descriptors

REDUCTION = 16


class MPE(nn.Module):
    """Weighs the query map by the pooled support vector and excites its channels, then its positions.

    Quirk, kept: the support vector is the mean over all positions, not over the mask, so it shrinks with the defect's
    share of the image (to 0.09 of its size for a mask of 9 %).

    Source: DingH2E/LDMP-RENet-main @5b9e585, model/MPE.py (scSE blocks of Roy et al. 2018, in sequence as CBAM). The
        original's forward calls an attribute that does not exist; calling the block that is constructed is the only
        reading that runs.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        self.channel_gate = nn.Sequential(
            nn.Conv2d(n_channels, n_channels // REDUCTION, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_channels // REDUCTION, n_channels, 1),
            nn.Sigmoid(),
        )
        self.spatial_gate = nn.Sequential(nn.Conv2d(n_channels, 1, 1, bias=False), nn.Sigmoid())

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P query maps with P encodings to (P, C, h, w)."""
        pooled = paired_descriptors(query, encoding).mean((2, 3), keepdim=True)
        weighted = query.maps[0] * pooled
        excited: Tensor = weighted * self.channel_gate(weighted.mean((2, 3), keepdim=True))
        attention: Tensor = self.spatial_gate(excited)
        return excited * attention
