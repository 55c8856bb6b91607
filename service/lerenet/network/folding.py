"""Batch norms folded into the convolutions before them: the same answers with two thirds of the passes over memory."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(network: nn.Module) -> None:
    """Folds in place, for inference; the network can no longer be saved as weights.

    Args:
        network: In eval mode. Only pairs that stand side by side in a `Sequential` are folded.
    """
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for place, (first, second) in enumerate(pairwise(list(block))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                block[place] = cast(nn.Module, fuse_conv_bn_eval(first, second))
                block[place + 1] = nn.Identity()
