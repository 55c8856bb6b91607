"""The rows of a table: our network, and what its trunk can do without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lerenet.evaluation.baselines import DenseMatching, PooledPrototypes, SelfSupport
from lerenet.inference.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from lerenet.evaluation.measurement import ShotSegmenter
    from lerenet.inference.precision import Precision
    from lerenet.inference.protocol import FewShotNetwork
    from lerenet.network import LERENet

OURS, POOLED, MATCHING, SELF_SUPPORT = "LERENet", "pooled prototypes", "dense matching", "self-support"


@dataclass(frozen=True, eq=False)
class Method:
    """A row of the table.

    Attributes:
        name: As it stands in tables and on sheets.
        segmenter: What segments.
    """

    name: str
    segmenter: ShotSegmenter


TRAINING_FREE: Mapping[str, Callable[[LERENet], FewShotNetwork]] = {
    POOLED: PooledPrototypes,
    MATCHING: DenseMatching,
    SELF_SUPPORT: SelfSupport,
}
"""The rules that need nothing but a trained trunk, by the name of their row."""


def standard_methods(network: LERENet, device: torch.device, precision: Precision = "auto") -> tuple[Method, ...]:
    """LERENet and, of the metal preset, every training-free row on the same trunk.

    Args:
        network: On `device`, in eval mode.
        device: Where it is.
        precision: See `Segmenter`; the same for every row.
    """
    rules = TRAINING_FREE if network.config.preset == "metal" else {}
    networks = {OURS: network} | {name: rule(network) for name, rule in rules.items()}
    return tuple(Method(name, Segmenter(each, device, precision=precision)) for name, each in networks.items())
