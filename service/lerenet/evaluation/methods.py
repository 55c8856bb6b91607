"""The rows of a table: our network, and what its trunk can do without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lerenet.evaluation.baselines import DenseMatching, PooledPrototypes
from lerenet.inference.segmenter import Segmenter

if TYPE_CHECKING:
    import torch

    from lerenet.evaluation.measurement import ShotSegmenter
    from lerenet.inference.runner import Precision
    from lerenet.network import LERENet

OURS, POOLED, MATCHING = "LERENet", "pooled prototypes", "dense matching"


@dataclass(frozen=True, eq=False)
class Method:
    """A row of the table.

    Attributes:
        name: As it stands in tables and on sheets.
        segmenter: What segments.
    """

    name: str
    segmenter: ShotSegmenter


def standard_methods(network: LERENet, device: torch.device, precision: Precision = "auto") -> tuple[Method, ...]:
    """LERENet and, of the metal preset, both training-free rows on the same trunk.

    Args:
        network: On `device`, in eval mode.
        device: Where it is.
        precision: See `Segmenter`; the same for every row.
    """
    ours = Method(OURS, Segmenter(network, device, precision=precision))
    if network.config.preset != "metal":
        return (ours,)
    pooled = Method(POOLED, Segmenter(PooledPrototypes(network), device, precision=precision))
    return (ours, pooled, Method(MATCHING, Segmenter(DenseMatching(network), device, precision=precision)))
