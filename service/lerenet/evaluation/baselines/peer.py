"""What the trained peers share: the encoder of `metal`, and the protocol that training and inference speak.

So a table of them compares matching heads. Each starts from random weights and learns from the same episodes with the
same loss, for there are no ImageNet weights here; what a peer's paper freezes is trained.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.config import METAL, NetworkConfig
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import conv_norm_relu
from lerenet.network.metal.backbone import MetalBackbone

MEAN, STD = 0.45, 0.25
INITIAL_FOREGROUND_LOGIT = -3.0


class TrainedPeer(nn.Module):
    """A few-shot segmenter around a `MetalBackbone`; it is called like a `LERENet` and holds nothing of any request.

    Args:
        config: Gives the channels of the encoder.
    """

    stride_multiple = 16

    def __init__(self, config: NetworkConfig = METAL) -> None:
        super().__init__()
        self.backbone = MetalBackbone(config.stage_channels, config.pyramid_channels)
        self.channels = (config.pyramid_channels, *config.stage_channels[1:])

    def features(self, images: Tensor) -> Features:
        """Everything about images that no class changes.

        Args:
            images: (B, 3, H, W) float32 RGB in 0 … 1; H and W multiples of `stride_multiple`.

        Raises:
            ValueError: Another shape.
        """
        if images.shape[-3] != 3 or images.shape[-2] % self.stride_multiple or images.shape[-1] % self.stride_multiple:
            raise ValueError(
                f"images of shape {tuple(images.shape)}: three channels and sides that are multiples of"
                f" {self.stride_multiple} are needed; pad them"
            )
        maps = self.maps((images - MEAN) / STD)
        return Features(maps, (images.shape[-2], images.shape[-1]), self.shared(maps))

    def maps(self, images: Tensor) -> tuple[Tensor, ...]:
        """Normalised images (B, 3, H, W) to the maps that support and query are compared by."""
        found: tuple[Tensor, ...] = self.backbone(images)
        return found

    def shared(self, maps: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Query-only terms, once per image; a support image goes without."""
        return {}

    @abstractmethod
    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """The encoding of B classes; see `LERENet.summarise`."""

    @abstractmethod
    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """Logits (P, 2, H, W) of P pairs of image and class; see `LERENet.segment`."""


def chosen(features: Features, image_index: Tensor | None) -> Features:
    """The features of each pair's image."""
    return features if image_index is None else features.select(image_index)


def coverage(masks: Tensor, reference: Tensor) -> Tensor:
    """Masks (M, H, W) in {0, 1, 255} to the defect's share of each cell of `reference`'s grid, (M, 1, h, w)."""
    grid = (reference.shape[-2], reference.shape[-1])
    return F.adaptive_avg_pool2d((masks == 1).float()[:, None], grid)


def masked_mean(cells: Tensor, weights: Tensor) -> Tensor:
    """Maps (M, C, h, w) with weights (M, 1, h, w) to their weighted mean (M, C) float32; zeros without any weight."""
    total = (cells.float() * weights).sum((2, 3))
    return total / weights.sum((2, 3)).clamp_min(1e-4)


def classifier(n_in: int, n_hidden: int) -> nn.Sequential:
    """3 x 3 convolution and the last 1 x 1: (P, n_in, h, w) to logits (P, 2, h, w), which start as in `metal`."""
    last = nn.Conv2d(n_hidden, 2, 1)
    last.bias = nn.Parameter(torch.tensor([0.0, INITIAL_FOREGROUND_LOGIT]))  # most of a plate is sound
    return nn.Sequential(conv_norm_relu(n_in, n_hidden), last)


def enlarged(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits on a feature grid to float32 logits of (H, W) = `size`."""
    return F.interpolate(logits.float(), size, mode="bilinear", align_corners=False)


class _WithLoss(torch.autograd.Function):
    """Passes a tensor on; on the way back the loss gets the gradient 1, as if it were added to the network's loss."""

    @staticmethod
    def forward(context: Any, carrier: Tensor, loss: Tensor) -> Tensor:
        context.set_materialize_grads(True)
        context.loss_like = loss.detach()
        return carrier.view_as(carrier)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        return gradients[0], torch.ones_like(context.loss_like)


def with_loss(carrier: Tensor, loss: Tensor) -> Tensor:
    """The carrier, which now brings a peer's own auxiliary loss along into any backward pass through it.

    One training loop serves every row and knows one loss; a second one of the support alone needs no place in it.

    Args:
        carrier: Any tensor that the logits depend on.
        loss: Scalar, already weighted.
    """
    carried: Tensor = _WithLoss.apply(carrier, loss)  # type: ignore[no-untyped-call]
    return carried
