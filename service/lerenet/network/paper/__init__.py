"""The paper preset: the published network, the reference row of every table.

Source: LERENet, arXiv 2403.11122, in the authors' code DingH2E/LDMP-RENet-main @5b9e585. Each part says
    where it differs.
"""

from __future__ import annotations

from typing import Any

from lerenet.errors import ConfigurationError
from lerenet.network.config import NetworkConfig
from lerenet.network.paper.backbone import ResNetStage1, VggBlocks12
from lerenet.network.paper.gei import GEI
from lerenet.network.paper.ifm import IFM
from lerenet.network.paper.mpe import MPE
from lerenet.network.paper.mpr import MPR
from lerenet.network.paper.support import SupportPool

_STRIDE = 4
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_paper_parts(config: NetworkConfig) -> dict[str, Any]:
    """The parts and constants that `LERENet` is built from.

    Raises:
        ConfigurationError: The backbone is not one of the published network.
    """
    backbone = _build_backbone(config)
    c = backbone.n_channels
    return {
        "backbone": backbone,
        "support_pool": SupportPool(),
        "mpr": MPR(c),
        "mpe": MPE(c),
        "prior": GEI(),
        "ifm": IFM(c),
        "stride_multiple": _STRIDE,
        "mean": _IMAGENET_MEAN,
        "std": _IMAGENET_STD,
    }


def _build_backbone(config: NetworkConfig) -> ResNetStage1 | VggBlocks12:
    match config.backbone:
        case "resnet50":
            return ResNetStage1(config.stem)
        case "vgg16_bn":
            return VggBlocks12()
        case "metal":
            raise ConfigurationError(
                "The preset `paper` has no backbone `metal`; choose `resnet50` or `vgg16_bn`, or the preset `metal`."
            )
