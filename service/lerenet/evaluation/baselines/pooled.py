"""Baseline: cosine to a pooled foreground and a pooled background prototype."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lerenet.evaluation.baselines.cosine import CosineComparison
from lerenet.network.metal.names import FINEST, PROTOTYPES

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.network.encoding import SupportEncoding
    from lerenet.network.lerenet import LERENet


class PooledPrototypes(CosineComparison):
    """Masked average pooling of all shots into one foreground and one background vector; a softmax over scaled cosines.

    Source: SG-One (arXiv 1810.09091) and PANet (arXiv 1908.06391, whose factor 20 is kept). We differ: the trunk is
        LERENet's, trained on synthetic plates; the finest map is compared, which has seen all strides.
    """

    def __init__(self, network: LERENet) -> None:
        super().__init__(network, levels=(FINEST,), n_foreground=2, n_background=2, sharpness=20.0)

    def compare(self, level: int, cells: Tensor, encoding: SupportEncoding) -> Tensor:
        """See `CosineComparison.compare`."""
        return encoding.tensors[PROTOTYPES][0] @ cells
