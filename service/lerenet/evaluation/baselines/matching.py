"""Baseline: the nearest of all foreground and of all background descriptors decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lerenet.evaluation.baselines.cosine import CosineComparison
from lerenet.network.metal.names import background_bank, foreground_bank

if TYPE_CHECKING:
    from torch import Tensor

    from lerenet.network.encoding import SupportEncoding
    from lerenet.network.lerenet import LERENet

LEVELS = (0, 1)
N_FOREGROUND, N_BACKGROUND = 512, 2048


class DenseMatching(CosineComparison):
    """Largest cosine to any foreground descriptor of the shots against largest cosine to any background descriptor.

    Source: the matching rule of GFDS (arXiv 2502.01216), with its factor 10. We differ: the trunk is LERENet's; two
        levels vote; of more than 512 foreground or 2048 background cells a spread sample of that size stands for all.
    """

    def __init__(self, network: LERENet) -> None:
        super().__init__(network, levels=LEVELS, n_foreground=N_FOREGROUND, n_background=N_BACKGROUND, sharpness=10.0)

    def compare(self, level: int, cells: Tensor, encoding: SupportEncoding) -> Tensor:
        """See `CosineComparison.compare`."""
        banks = (background_bank(level), foreground_bank(level))
        return torch.stack([(encoding.tensors[bank][0].float() @ cells).amax(0) for bank in banks])
