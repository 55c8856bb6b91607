"""The metal preset: the network that is shipped."""

from __future__ import annotations

from typing import Any

from lerenet.network.config import NetworkConfig
from lerenet.network.metal.backbone import MetalBackbone
from lerenet.network.metal.ifm import IFM
from lerenet.network.metal.mpe import MPE
from lerenet.network.metal.mpr import MPR, QUERY_NODES
from lerenet.network.metal.names import fitted
from lerenet.network.metal.prior import Prior
from lerenet.network.metal.support import SupportPool

_STRIDE = 16
_MEAN, _STD = (0.45, 0.45, 0.45), (0.25, 0.25, 0.25)


def build_metal_parts(config: NetworkConfig) -> dict[str, Any]:
    """The parts and constants that `LERENet` is built from."""
    c, h = config.pyramid_channels, config.fusion_channels
    channels = (c, *config.stage_channels[1:])
    descriptors = config.descriptor_channels
    mpr, prior = MPR(c, descriptors[0], config.n_nodes, h), Prior(channels, descriptors)
    return {
        "backbone": MetalBackbone(config.stage_channels, c),
        "support_pool": SupportPool(descriptors, config.n_foreground, config.n_background, mpr, prior.discriminant),
        "mpr": mpr,
        "mpe": MPE(c, h),
        "prior": prior,
        "ifm": IFM(3 * h + prior.n_out, h),
        "fitted": fitted(len(channels)),
        "frame_means": (QUERY_NODES,),
        "stride_multiple": _STRIDE,
        "mean": _MEAN,
        "std": _STD,
    }
