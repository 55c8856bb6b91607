"""What a network computes in several linear steps, folded into one: the same answers with fewer passes over memory."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lerenet.network.lerenet import LERENet
from lerenet.network.metal.folding import fold_fusion
from lerenet.network.metal.ifm import IFM
from lerenet.network.metal.mpe import MPE
from lerenet.network.metal.mpr import MPR


def fold(network: LERENet) -> None:
    """Folds in place, for inference; the network can no longer be saved as weights.

    Args:
        network: In eval mode. Of the `metal` preset's parts, the fusion is folded as well.
    """
    _fold_batch_norms(network)
    mpr, mpe, ifm = network.mpr, network.mpe, network.ifm
    if isinstance(mpr, MPR) and isinstance(mpe, MPE) and isinstance(ifm, IFM):
        network.mpe = fold_fusion(mpr, mpe, ifm)


def _fold_batch_norms(network: nn.Module) -> None:
    """Those that stand right after a convolution in a `Sequential`."""
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for place, (first, second) in enumerate(pairwise(list(block))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                block[place] = cast(nn.Module, fuse_conv_bn_eval(first, second))
                block[place + 1] = nn.Identity()
