"""LERENet: few-shot segmentation of metal surface defects.

Source: LERENet, arXiv 2403.11122 (journal form: LDMP-RENet, doi 10.1371/journal.pone.0318553).
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from lerenet.network.config import NetworkConfig
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features

IGNORE_INDEX = 255
"""Value of a mask where pixels are padding: neither defect nor background."""


class LERENet(nn.Module):
    """One network out of injected parts; it holds parameters and constants, and nothing of any request.

        image ──> backbone ──> maps ──┬──────────> MPR ────┐
                                      ├──────────> MPE ────┼──> IFM ──> logits
        support ─> backbone ──> pool ─┴─ encoding > prior ─┘

    Args:
        config: Structure, kept for the weights file.
        backbone: Images (B, 3, H, W), normalised, to maps, finest first.
        support_pool: (features, masks, shots, normals) to a `SupportEncoding`.
        mpr: Multi-Prototype Reasoning: (query, encoding) to a map; `shared(features)` gives its query-only terms.
        mpe: Multi-Prototype Excitation: (query, encoding) to a map.
        prior: Similarity of query and prototypes: (query, encoding) to a map; may have `shared(features)`.
        ifm: Information Fusion Module: (mpr, mpe, prior, size) to logits.
        stride_multiple: Images must have sides that are multiples of it.
        mean: Per channel, RGB in 0 … 1.
        std: Per channel.
        fitted: Tensors of an encoding that registration may fit to the shots.
        frame_means: Shared terms of features that are means over an image's cells; tiles of a frame have theirs in
            common.
    """

    mean: Tensor
    std: Tensor
    confidence: tuple[float, float, float] | None = None
    """How sure its regions are, as `lerenet calibrate` fitted it; None until then. It takes no part in any logit."""

    def __init__(
        self,
        config: NetworkConfig,
        *,
        backbone: nn.Module,
        support_pool: nn.Module,
        mpr: nn.Module,
        mpe: nn.Module,
        prior: nn.Module,
        ifm: nn.Module,
        stride_multiple: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        fitted: tuple[str, ...] = (),
        frame_means: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.config = config
        self.stride_multiple = stride_multiple
        self.fitted = fitted
        self.frame_means = frame_means
        self.backbone = backbone
        self.support_pool = support_pool
        self.mpr = mpr
        self.mpe = mpe
        self.prior = prior
        self.ifm = ifm
        self.register_buffer("mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(std)[:, None, None], persistent=False)

    def features(self, images: Tensor) -> Features:
        """Everything about images that no class changes.

        Args:
            images: (B, 3, H, W) float32 RGB in 0 … 1; H and W multiples of `stride_multiple`.

        Raises:
            ValueError: Another shape; says which size to pad to.
        """
        return _with_terms(self.mpr, self.support_features(images))

    def support_features(self, images: Tensor) -> Features:
        """As `features`, without the terms of the MPR, which a support image does not need."""
        self._check_size(images)
        return _with_terms(self.prior, Features(self._maps(images), (images.shape[-2], images.shape[-1]), {}))

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """The encoding of B classes from features of support images.

        Args:
            features: Of M support images; an image may serve several classes, or several subsets of one.
            masks: (M, H, W), 1 defect, 0 background, 255 ignore.
            shots: (B, K) int64, which of the M images support each class.
            normals: Features of B * N defect-free images, N per class side by side; they sharpen the background.
        """
        return cast(SupportEncoding, self.support_pool(features, masks, shots, normals))

    def encode_support(self, images: Tensor, masks: Tensor, normals: Tensor | None = None) -> SupportEncoding:
        """The encoding of B classes from their support sets.

        Args:
            images: (B, K, 3, H, W) float32 RGB in 0 … 1.
            masks: (B, K, H, W), 1 defect, 0 background, 255 ignore.
            normals: (B, N, 3, H, W) defect-free images, or None.
        """
        shots = torch.arange(masks[:, :, 0, 0].numel(), device=masks.device).view(masks.shape[:2])
        features = self.support_features(images.flatten(0, 1))
        extra = None if normals is None else self.support_features(normals.flatten(0, 1))
        return self.summarise(features, masks.flatten(0, 1), shots, extra)

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """Segment P pairs of image and class.

        Args:
            features: Of B images.
            encoding: Of P classes.
            image_index: (P,) int64, the image of each pair; None when pair p is image p.

        Returns:
            Logits (P, 2, H, W): background, foreground. Of a folded network (P, 1, H, W): their difference.
        """
        query = features if image_index is None else features.select(image_index)
        reasoned = self.mpr(query, encoding)
        excited = self.mpe(query, encoding)
        prior = self.prior(query, encoding)
        return cast(Tensor, self.ifm(reasoned, excited, prior, query.size))

    def forward(
        self, query: Tensor, support_images: Tensor, support_masks: Tensor, normals: Tensor | None = None
    ) -> Tensor:
        """Encode and segment at once: query (B, 3, H, W) with one class each, to logits (B, 2, H, W)."""
        encoding = self.encode_support(support_images, support_masks, normals)
        return self.segment(self.features(query), encoding)

    def _maps(self, images: Tensor) -> tuple[Tensor, ...]:
        return cast(tuple[Tensor, ...], self.backbone((images - self.mean) / self.std))

    def _check_size(self, images: Tensor) -> None:
        height, width = images.shape[-2:]
        multiple = self.stride_multiple
        if images.shape[-3] != 3 or height % multiple or width % multiple or not height * width:
            padded = tuple(max(1, -(-side // multiple)) * multiple for side in (height, width))
            raise ValueError(
                f"images of shape {tuple(images.shape)}: three channels and sides that are multiples of {multiple} are"
                f" needed; pad {(height, width)} to {padded}"
            )


def _with_terms(part: nn.Module, features: Features) -> Features:
    """Features with the terms that a part computes once per image, where it has any."""
    terms = getattr(part, "shared", None)
    return features if terms is None else replace(features, shared={**features.shared, **terms(features)})


def foreground_logit(logits: Tensor) -> Tensor:
    """Logits (P, 2 or 1, H, W) of a network to (P, H, W): its sigmoid is the probability of defect."""
    return logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits[:, 0]
