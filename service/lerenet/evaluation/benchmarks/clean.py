"""The clean protocol on a fold: our own, with several support draws, groups apart and defect-free images asked too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lerenet.evaluation.baselines import CommonSquare
from lerenet.evaluation.evaluate import evaluate
from lerenet.evaluation.methods import OURS, Method, standard_methods
from lerenet.inference.segmenter import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from lerenet.datasets.benchmarks import BenchmarkFold
    from lerenet.evaluation.evaluate import Step
    from lerenet.evaluation.protocol import EvaluationConfig
    from lerenet.evaluation.report import Report
    from lerenet.inference.precision import Precision
    from lerenet.network.lerenet import LERENet

PROTOCOL = "clean: several support draws, every group on one side of an episode, defect-free images asked"
PAPER_SIDE_PX = 200


def measure_clean(
    network: LERENet,
    fold: BenchmarkFold,
    config: EvaluationConfig,
    device: torch.device,
    conditions: Mapping[str, str],
    *,
    precision: Precision = "auto",
    progress: Callable[[Step], None] = lambda step: None,
) -> Report:
    """Measures a network on the novel classes of a fold by the protocol of `evaluation.protocol`.

    Args:
        network: Either preset, on `device`, in eval mode.
        fold: What is measured.
        config: Shots, seeds, draws and label rule.
        device: Where the network is.
        conditions: What else made the numbers.
        precision: See `Segmenter`.
        progress: Called after each batch of images.
    """
    methods = standard_methods(network, device, precision)
    if network.config.preset == "paper":
        methods = (Method(OURS, any_size_segmenter(network, device, precision)),)
    facts = {"protocol": PROTOCOL, "benchmark": f"{fold.benchmark.title}, fold {fold.fold}", "lists": fold.source}
    return evaluate(methods, fold.novel, config, progress, note="clean protocol", conditions={**facts, **conditions})


def any_size_segmenter(network: LERENet, device: torch.device, precision: Precision = "auto") -> Segmenter:
    """A segmenter for support and query of any sizes.

    The published network pairs equal positions, so both are brought into one square for it.
    """
    fitting = CommonSquare(network, PAPER_SIDE_PX) if network.config.preset == "paper" else network
    return Segmenter(fitting, device, precision=precision)
