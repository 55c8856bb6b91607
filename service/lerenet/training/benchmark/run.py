"""Training on a fold of a benchmark, put together and carried out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lerenet.datasets.benchmarks import find_benchmark, open_fold
from lerenet.datasets.faults import refuse
from lerenet.errors import ConfigurationError, WeightsError
from lerenet.network.build import build_lerenet
from lerenet.network.paper.pretrained import load_backbone
from lerenet.network.weights import load_weights
from lerenet.training.assembly import network_config, prepare_device
from lerenet.training.benchmark.episodes import EpisodeForm, FoldEpisodes, group_faults
from lerenet.training.benchmark.learner import SgdLearner, poly_factor
from lerenet.training.benchmark.one_pass import OnePass
from lerenet.training.benchmark.plan import MAY_CHANGE_ON_RESUME, N_HELD_OUT_CLASSES, PLAN_FILE, SELECTION_SEEDS
from lerenet.training.loop import TrainingRun
from lerenet.training.records import record_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lerenet.datasets.benchmarks import BenchmarkFold
    from lerenet.datasets.folder import DefectClass
    from lerenet.network.lerenet import LERENet
    from lerenet.training.benchmark.plan import BenchmarkPlan
    from lerenet.training.loop import Outcome


@dataclass(frozen=True, slots=True)
class BenchmarkOutcome:
    """How a run on a fold ended.

    Attributes:
        outcome: Of the loop; its `best_iou` is the mIoU that the checkpoint was chosen by.
        selected_on: Names of the classes it was chosen on.
        best_fb_iou: Highest FB-IoU of any validation, which may be another checkpoint's; None when none was made.
    """

    outcome: Outcome
    selected_on: tuple[str, ...]
    best_fb_iou: float | None


def train_on_benchmark(plan: BenchmarkPlan, root: Path, run_dir: Path, *, resume: bool = True) -> BenchmarkOutcome:
    """Trains on the base classes of a fold.

    Args:
        plan: What to do.
        root: Folder of the benchmark, see `datasets.benchmarks.layout`.
        run_dir: As of `training.train`; `benchmark.json` is added.
        resume: Go on with the run in `run_dir` if there is one; otherwise such a folder is refused.

    Raises:
        DatasetError: The data set has faults; they are named before anything is trained.
        ConfigurationError: The folder holds another run, or the loss is not finite.
        WeightsError: `init_weights` or `backbone` cannot be used.
    """
    form = EpisodeForm(plan.shots, plan.size_px, plan.label_rule)
    fold = open_fold(find_benchmark(plan.benchmark), root, plan.fold, form.n_shots, form.rule, form.limits)
    refuse(group_faults((*fold.base, *fold.novel), plan.shots), root)
    learnt, selecting = split_classes(fold, plan)
    source = FoldEpisodes(learnt, form, n_episodes=plan.batch, seed=plan.seed)
    held_out = OnePass(selecting, form, SELECTION_SEEDS[plan.protocol])
    config = plan.training_config(source.batches_per_epoch)
    device = prepare_device(config)
    network = _build_network(plan)
    facts = _facts(fold, learnt, selecting, source)
    record_plan(run_dir / PLAN_FILE, asdict(plan), facts, MAY_CHANGE_ON_RESUME)
    run = TrainingRun(
        config,
        run_dir,
        network=network,
        source=source,
        held_out=held_out,
        device=device,
        resume=resume,
        build_learner=partial(SgdLearner, is_pretrained=plan.is_pretrained),
        schedule=poly_factor,
    )
    outcome = run.fit()
    return BenchmarkOutcome(outcome, tuple(found.name for found in selecting), _best_fb_iou(run_dir))


def split_classes(fold: BenchmarkFold, plan: BenchmarkPlan) -> tuple[tuple[DefectClass, ...], tuple[DefectClass, ...]]:
    """The classes that are learnt from, and those that choose the checkpoint; a clean choice never opens the test list.

    Raises:
        ConfigurationError: Too few base classes to hold some out.
    """
    if plan.protocol == "paper":
        return fold.base, fold.novel
    if len(fold.base) <= N_HELD_OUT_CLASSES:
        raise ConfigurationError(f"{len(fold.base)} base classes: {N_HELD_OUT_CLASSES} of them cannot be held out")
    chosen = set(np.random.default_rng([plan.seed, plan.fold]).permutation(len(fold.base))[:N_HELD_OUT_CLASSES])
    return (
        tuple(found for place, found in enumerate(fold.base) if place not in chosen),
        tuple(found for place, found in enumerate(fold.base) if place in chosen),
    )


def _build_network(plan: BenchmarkPlan) -> LERENet:
    if plan.init_weights:
        network = load_weights(Path(plan.init_weights))
    else:
        network = build_lerenet(network_config(plan.network))
    if plan.backbone:
        return _with_backbone(network, Path(plan.backbone))
    return network


def _with_backbone(network: LERENet, path: Path) -> LERENet:
    """The network with ImageNet weights; a file of torchvision's stem gets a network of that stem."""
    try:
        load_backbone(network, path)
    except WeightsError:
        if network.config.backbone != "resnet50":
            raise
        plain = build_lerenet(replace(network.config, stem="plain"))
        try:
            load_backbone(plain, path)
        except WeightsError:
            load_backbone(network, path)  # its message names the stem that was asked for
        return plain
    return network


def _facts(
    fold: BenchmarkFold, learnt: Sequence[DefectClass], selecting: Sequence[DefectClass], source: FoldEpisodes
) -> dict[str, Any]:
    return {
        "lists": fold.source,
        "trained_on": {found.name: len(found.pairs) for found in learnt},
        "selected_on": {found.name: len(found.pairs) for found in selecting},
        "batches_per_epoch": source.batches_per_epoch,
    }


def read_training_facts(weights: Path) -> dict[str, Any] | None:
    """What `benchmark.json` beside a weights file says of its training; None where there is none."""
    path = weights.parent / PLAN_FILE
    if not path.is_file():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _best_fb_iou(run_dir: Path) -> float | None:
    rows = (json.loads(line) for line in (run_dir / "history.jsonl").read_text(encoding="utf-8").splitlines())
    return max((row["fb_iou"] for row in rows if row["kind"] == "validation"), default=None)
