"""The networks that are trained for a table, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from lerenet.errors import ConfigurationError
from lerenet.evaluation.baselines.ablations import with_plain_fusion, without_mpe, without_mpr
from lerenet.evaluation.baselines.common_square import CommonSquare
from lerenet.evaluation.baselines.cpanet import CPANet
from lerenet.evaluation.baselines.hsnet import HSNet
from lerenet.evaluation.baselines.pfenet import PFENet
from lerenet.evaluation.baselines.tgrnet import TGRNet
from lerenet.network.build import build_lerenet
from lerenet.network.config import METAL, PAPER_RESNET, PAPER_VGG, NetworkConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from lerenet.inference.protocol import FewShotNetwork
    from lerenet.network.lerenet import LERENet

OURS = "metal"
_BUILDERS: dict[str, Callable[[NetworkConfig], object]] = {
    OURS: build_lerenet,
    "pfenet": PFENet,
    "hsnet": HSNet,
    "cpanet": CPANet,
    "tgrnet": TGRNet,
    "paper": lambda _: build_lerenet(PAPER_RESNET),
    "paper-vgg16": lambda _: build_lerenet(PAPER_VGG),
    "metal-without-mpr": without_mpr,
    "metal-without-mpe": without_mpe,
    "metal-plain-fusion": with_plain_fusion,
}
PEERS = tuple(_BUILDERS)
"""Every name that `build_peer` knows, `metal` first."""

_PAIRING_POSITIONS = frozenset({"tgrnet", "paper", "paper-vgg16"})


def build_peer(name: str, config: NetworkConfig = METAL) -> LERENet:
    """A network of that name with random weights, in training mode; seed torch first to repeat it.

    Args:
        name: One of `PEERS`.
        config: Of `metal` and its ablations, and of the encoder of the others; the `paper` networks keep theirs.

    Returns:
        Something that is called like a `LERENet`, which all of training and inference takes.

    Raises:
        ConfigurationError: No such name.
    """
    if name not in _BUILDERS:
        raise ConfigurationError(f"there is no peer {name!r}; there are {', '.join(PEERS)}")
    return cast("LERENet", _BUILDERS[name](config))


def on_any_image(name: str, network: FewShotNetwork, side_px: int) -> FewShotNetwork:
    """The network as images of any size can be given to it, support and query of different sizes too.

    Args:
        name: One of `PEERS`; those that pair equal positions are put into a `CommonSquare`.
        network: Of that name.
        side_px: Side of the plates it was trained on; the square is that, rounded up to the network's stride.
    """
    if name not in _PAIRING_POSITIONS:
        return network
    multiple = network.stride_multiple
    return CommonSquare(network, -(-side_px // multiple) * multiple)
