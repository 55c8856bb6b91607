"""From a support set to local descriptors: the masked stage-1 map, averaged over the shots."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features

DESCRIPTORS = "descriptors"
FOREGROUND = 1


class SupportPool(nn.Module):
    """Masks each shot's map and averages over the shots, position by position; it has no parameters.

    Quirks, kept: the mean is of masked maps, not of vectors, so a position marked in one of K shots keeps 1/K of its
    size; nothing is selected or clustered; defect-free images have no place in it and are not read.

    Source: DingH2E/LDMP-RENet-main @5b9e585, model/LEGIT.py.
    """

    def forward(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """Pool the shots of B classes.

        Args:
            features: Of M support images; the first map, (M, C, h, w), is read.
            masks: (M, H, W), 1 defect, 0 background, 255 ignore, which counts as background here.
            shots: (B, K) int64, the images of each class.
            normals: Ignored.

        Returns:
            Encoding with `descriptors` (B, C, h, w), zero where no shot is marked.
        """
        finest = features.maps[0]
        masked = finest * mask_coverage(masks, (finest.shape[-2], finest.shape[-1]))
        return SupportEncoding({DESCRIPTORS: masked[shots].mean(1)})


def mask_coverage(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """(M, H, W) masks in {0, 1, 255} to (M, 1, h, w) float32 in 0 … 1, bilinear with aligned corners."""
    foreground = (masks == FOREGROUND).float().unsqueeze(1)
    return F.interpolate(foreground, size=size, mode="bilinear", align_corners=True)


def paired_descriptors(query: Features, encoding: SupportEncoding) -> Tensor:
    """The descriptors (P, C, h, w) that stand position by position beside the query map.

    Raises:
        ValueError: Support and query have different sizes; the published network compares equal positions only.
    """
    descriptors = encoding.tensors[DESCRIPTORS]
    if descriptors.shape[-2:] != query.maps[0].shape[-2:]:
        support_size, query_size = tuple(descriptors.shape[-2:]), tuple(query.maps[0].shape[-2:])
        raise ValueError(
            f"The support was encoded on a grid of {support_size} cells and the query has {query_size}: the published"
            " network pairs equal positions, so resize or pad both to one size."
        )
    return descriptors
