"""The fusion's first and last convolution folded, for inference.

    first:    relu(W [mpr; mpe; prior] + b)   =   relu(W1 mpr + W2 mpe + W3 prior + b)
    folded:   mpr' = W1 mpr + b,   mpe' = W2 mpe,   relu(mpr' + mpe' + W3 prior)

MPR and MPE end in linear maps of a few channels, so W1 and W2 are composed with those once, and the wide map of all
signals is never made. The last gives the difference of its two logits, which is all that inference asks for.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import as_map
from lerenet.network.metal.ifm import IFM
from lerenet.network.metal.mpe import MPE
from lerenet.network.metal.mpr import MPR
from lerenet.network.metal.names import FINEST


class ReducedMPE(nn.Module):
    """An MPE whose two responses come as their share of the reduced signal, but for the contrast's bias.

    The attention is one number per cell, so it may act after the reduction.

    Args:
        mpe: What it stands for.
        to_class: (h, h), of the reduction, for the response to the class.
        to_contrast: (h, h), for the other.
    """

    def __init__(self, mpe: MPE, to_class: Tensor, to_contrast: Tensor) -> None:
        super().__init__()
        self._mpe = mpe
        self.to_class = nn.Parameter(to_class @ mpe.project.weight)
        self.to_contrast = nn.Parameter(to_contrast @ mpe.project.weight)
        self.bias = nn.Parameter(to_class @ mpe.project.bias)

    def forward(self, query: Features, encoding: SupportEncoding) -> Tensor:
        """P queries with P encodings to (P, h, h', w')."""
        of_class, of_contrast, attention = self._mpe.responses(query, encoding, self.to_class, self.to_contrast)
        excited = torch.addcmul(of_contrast, of_class + self.bias, attention.sigmoid())
        return as_map(excited, query.maps[FINEST])


class SummedReduction(nn.Module):
    """The reduction of signals of which two have been reduced already.

    Args:
        weight: (h, n_prior), of the third.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, signals: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Maps of MPR and MPE (P, h, h', w') and of the prior (P, n_prior, h', w') to (P, h, h', w')."""
        mpr, mpe, prior = signals
        cells = (mpr + mpe).flatten(2).mT
        weight = self.weight.mT.expand(len(prior), -1, -1)
        return as_map(torch.baddbmm(cells, prior.flatten(2).mT.to(cells.dtype), weight.to(cells.dtype)).relu_(), mpr)


@torch.no_grad()
def fold_fusion(mpr: MPR, mpe: MPE, ifm: IFM) -> ReducedMPE:
    """Folds MPR and IFM in place, and returns what takes the place of the MPE.

    Args:
        mpr: In eval mode.
        mpe: Of the same network.
        ifm: With batch norms folded.
    """
    reduction = cast(nn.Conv2d, cast(nn.Sequential, ifm.reduce)[0])
    h = mpr.expand.out_channels
    weight, bias = reduction.weight.flatten(1), cast(Tensor, reduction.bias)
    to_mpr, to_class, to_contrast, to_prior = weight.split([h, h, h, reduction.in_channels - 3 * h], dim=1)
    _compose(mpr, to_mpr, bias + to_contrast @ mpe.project.bias)
    ifm.reduce = SummedReduction(to_prior.clone())
    ifm.classify = _difference(ifm.classify)
    return ReducedMPE(mpe, to_class, to_contrast)


def _compose(mpr: MPR, weight: Tensor, bias: Tensor) -> None:
    """An MPR and its norm, followed by a linear map (h, h) and a bias (h,)."""
    norm, pass_on = cast(nn.BatchNorm2d, mpr.norm), mpr.pass_on
    scale = norm.weight / (cast(Tensor, norm.running_var) + norm.eps).sqrt()
    shift = norm.bias - cast(Tensor, norm.running_mean) * scale + cast(Tensor, pass_on.bias)
    mpr.expand.weight.copy_((weight * scale @ mpr.expand.weight.flatten(1))[..., None, None])
    pass_on.weight.copy_((weight @ pass_on.weight.flatten(1))[..., None, None])
    pass_on.bias = nn.Parameter(weight @ shift + bias)
    mpr.norm = nn.Identity()


def _difference(classify: nn.Conv2d) -> nn.Conv2d:
    """Of the two logits' channels, which stand in two halves: foreground minus background."""
    single = nn.Conv2d(classify.in_channels, classify.out_channels // 2, 1)
    for name, values in classify.named_parameters():
        background, foreground = values.chunk(2)
        setattr(single, name, nn.Parameter(foreground - background))
    return single
