"""Where benchmarked weights come from: on which images their checkpoint was chosen decides what a number is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lerenet.training.benchmark.episodes import EpisodeForm
from lerenet.training.benchmark.run import read_training_facts

if TYPE_CHECKING:
    from pathlib import Path

    from lerenet.datasets.benchmarks import BenchmarkFold


def trained_size_px(weights: Path) -> int:
    """Side of the square that the weights were trained with; the authors' where nothing is known."""
    facts = read_training_facts(weights)
    return EpisodeForm().size_px if facts is None else int(facts["plan"]["size_px"])


def describe_selection(weights: Path, fold: BenchmarkFold) -> str:
    """How the checkpoint was chosen, in words for the report.

    Args:
        weights: The weights file; `benchmark.json` beside it tells of its training.
        fold: What is measured.
    """
    facts = read_training_facts(weights)
    if facts is None:
        return f"unknown (no benchmark.json beside {weights.name}); its training is assumed not to have seen the fold"
    plan = facts["plan"]
    if plan["benchmark"] != fold.benchmark.name or plan["fold"] != fold.fold:
        return f"trained on {plan['benchmark']} fold {plan['fold']}: NOT this fold, so its classes may have been seen"
    names = ", ".join(facts["selected_on"])
    if plan["protocol"] == "paper":
        return f"on the test list itself, as the authors do ({names}): NOT a held-out number"
    return f"on base classes that were not learnt from ({names}); the test list took no part"
