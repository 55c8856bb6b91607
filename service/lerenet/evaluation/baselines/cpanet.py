"""CPANet, for strip steel: one proxy vector of the support, and attention around it.

Cross Position Aggregation Network for Few-Shot Strip Steel Surface Defect Segmentation. Feng et al., IEEE TIM 2023.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lerenet.evaluation.baselines.attention import ChannelThenSpatial, NonLocal
from lerenet.evaluation.baselines.peer import TrainedPeer, chosen, classifier, coverage, enlarged, with_loss
from lerenet.network.config import METAL, NetworkConfig
from lerenet.network.encoding import SupportEncoding
from lerenet.network.features import Features
from lerenet.network.layers import conv_norm_relu, resized_to
from lerenet.network.lerenet import IGNORE_INDEX

N_CHANNELS = 64
SELF_LOSS_WEIGHT = 0.4
PROXY = "proxy"
_QUERY = "query"


class CPANet(TrainedPeer):
    """One proxy vector of the support, read from its positions' relations, finds the defect in the query.

    While it learns, each support image predicts its own mask from its own proxy (the paper's support auxiliary).

    Source: Feng et al. 2023 (doi 10.1109/TIM.2023.3246519), with the weight 0.4 that its ablation found best. We
        differ: the encoder of `metal`, trained, with all three of its maps joined at stride 8 where the paper has two
        of a frozen ResNet-50; 64 channels instead of 256; no dropout; attention at half the image's resolution.
        Mended: the released code divides the proxy of K shots by the batch size and keeps the self-prediction loss of
        the last shot only; here the proxies of K shots are averaged and every support image counts.

    Args:
        config: Gives the channels of the encoder.
        n_channels: c.
    """

    def __init__(self, config: NetworkConfig = METAL, n_channels: int = N_CHANNELS) -> None:
        super().__init__(config)
        c = n_channels
        self.reduce_query = conv_norm_relu(sum(self.channels), c, 1)
        self.reduce_support = conv_norm_relu(sum(self.channels), c, 1)
        self.relate = NonLocal(c)
        self.predict_itself = nn.Sequential(conv_norm_relu(2 * c, c, 1), classifier(c, c))
        self.merge = nn.Sequential(conv_norm_relu(2 * c, c, 1), conv_norm_relu(c, c))
        self.refine = nn.Sequential(conv_norm_relu(c, c), conv_norm_relu(c, c // 2))
        self.aggregate = SpaceSqueezeAttention(c // 2)

    def shared(self, maps: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """The query's reduced map at stride 8."""
        return {_QUERY: self.reduce_query(_joined(maps))}

    def summarise(
        self, features: Features, masks: Tensor, shots: Tensor, normals: Features | None = None
    ) -> SupportEncoding:
        """Proxy (B, c), the mean of the shots' proxies; normals are not read."""
        reduced = self.reduce_support(_joined(features.maps))
        proxies = self.relate(reduced * coverage(masks, reduced).to(reduced.dtype)).amax((2, 3)).float()
        if self.training:
            used = shots.unique()
            proxies = with_loss(proxies, self._self_loss(reduced[used], proxies[used], masks[used]))
        return SupportEncoding({PROXY: proxies[shots].mean(1)})

    def segment(self, features: Features, encoding: SupportEncoding, image_index: Tensor | None = None) -> Tensor:
        """See `LERENet.segment`."""
        query = chosen(features, image_index).shared[_QUERY]
        merged = self.refine(self.merge(_beside(query, encoding.tensors[PROXY])))
        at_half = F.interpolate(merged, scale_factor=4, mode="bilinear", align_corners=False)
        return enlarged(self.aggregate(at_half), features.size)

    def _self_loss(self, reduced: Tensor, proxies: Tensor, masks: Tensor) -> Tensor:
        logits = enlarged(self.predict_itself(_beside(reduced, proxies)), (masks.shape[-2], masks.shape[-1]))
        return SELF_LOSS_WEIGHT * F.cross_entropy(logits, masks.long(), ignore_index=IGNORE_INDEX)


class SpaceSqueezeAttention(nn.Module):
    """The map and two coarser looks at it, joined, excited by attention, and classified.

    Source: the space squeeze attention of CPANet; its attention is that of CBAM (arXiv 1807.06521).

    Args:
        n_channels: c.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        c = n_channels
        self.by_two, self.by_four = conv_norm_relu(c, c, stride=2), conv_norm_relu(c, c, stride=4)
        self.join = conv_norm_relu(3 * c, c, 1)
        self.attend = ChannelThenSpatial(c)
        self.classify = classifier(c, c)

    def forward(self, x: Tensor) -> Tensor:
        """(P, c, h, w) to logits (P, 2, h, w)."""
        joined = self.join(torch.cat([x, resized_to(self.by_two(x), x), resized_to(self.by_four(x), x)], dim=1))
        logits: Tensor = self.classify(joined + self.attend(joined))
        return logits


def _joined(maps: tuple[Tensor, ...]) -> Tensor:
    """All three maps at the stride of the middle one."""
    finest, middle, deepest = maps
    pooled = F.adaptive_avg_pool2d(finest, (middle.shape[-2], middle.shape[-1]))
    return torch.cat([pooled, middle, resized_to(deepest, middle)], dim=1)


def _beside(maps: Tensor, proxies: Tensor) -> Tensor:
    """Maps (P, c, h, w) and vectors (P, c), repeated at every position, as (P, 2 c, h, w)."""
    return torch.cat([maps, proxies.to(maps.dtype)[..., None, None].expand_as(maps)], dim=1)
