"""The guidance map of the published network: cosine of support and query at the same place."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import full_precision
from lerenet.network.paper.support import paired_descriptors


class GEI(nn.Module):
    """One channel of aligned cosine similarity; it has no parameters.

    Quirk, kept: it is locked to positions, and exactly 0 wherever the resized support mask is 0. It says where the
    support had its defect rather than what the defect looks like.

    Source: DingH2E/LDMP-RENet-main, named `s` @5b9e585 and `GEI` in 8f6f2c1 (probably "global edge information").
    """

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P query maps with P encodings to (P, 1, h, w) float32 in -1 … 1, float32 under autocast too."""
        descriptors = paired_descriptors(query, encoding)
        with full_precision(descriptors):
            return F.cosine_similarity(query.maps[0].float(), descriptors.float(), dim=1).unsqueeze(1)
