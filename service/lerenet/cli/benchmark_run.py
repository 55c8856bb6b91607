"""What `evaluate` and `train` do on a published benchmark."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from lerenet.cli.chosen_weights import steps_shown
from lerenet.cli.display import output, progress_bar
from lerenet.cli.failures import faults_listed
from lerenet.cli.fine_tuning import STOPPED
from lerenet.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from lerenet.cli.chosen_weights import ChosenWeights
    from lerenet.datasets.benchmarks import BenchmarkFold
    from lerenet.evaluation.protocol import EvaluationConfig

PROTOCOLS = ("paper", "clean")


def evaluate_on_benchmark(
    name: str,
    root: Path,
    fold: int,
    protocol: str,
    config: EvaluationConfig,
    chosen: ChosenWeights,
    folder: Path,
) -> None:
    """Measures weights on a fold, prints a table for each number of shots and writes the reports."""
    from lerenet.datasets.benchmarks import find_benchmark, open_fold
    from lerenet.evaluation.benchmarks import describe_selection

    if protocol not in PROTOCOLS:
        raise ConfigurationError(f"the protocol is one of {', '.join(PROTOCOLS)}, not {protocol!r}")
    with faults_listed():
        found = open_fold(find_benchmark(name), root, fold, config.max_shots, config.label_rule, config.limits)
    conditions = {**chosen.conditions, "checkpoint chosen": describe_selection(chosen.path, found)}
    if protocol == "clean":
        _evaluate_clean(found, config, chosen, conditions, folder)
        return
    for n_shots in config.shots:
        place = folder if len(config.shots) == 1 else folder / f"{n_shots}-shot"
        _evaluate_as_authors(found, n_shots, config, chosen, conditions, place)


def train_on_benchmark(run_dir: Path, root: Path, *, resume: bool, **plan: Any) -> bool:
    """Trains on a fold; False when the run stopped before its end."""
    from lerenet.training.benchmark import BenchmarkPlan
    from lerenet.training.benchmark import train_on_benchmark as run

    with faults_listed():
        done = run(BenchmarkPlan(**plan), root, run_dir, resume=resume)
    where = f"{', '.join(done.selected_on)} ({'the test list' if plan['protocol'] == 'paper' else 'held-out classes'})"
    if done.outcome.best_iou is not None:
        typer.echo(f"best mIoU {done.outcome.best_iou:.3f}, best FB-IoU {done.best_fb_iou:.3f}, each over all epochs")
        typer.echo(f"checkpoint chosen on {where}; label rule {plan['label_rule']}")
    typer.echo(f"{done.outcome.step} steps; weights, curves and checkpoints in {run_dir}")
    if not done.outcome.is_complete:
        typer.echo(STOPPED)
    return done.outcome.is_complete


def _evaluate_as_authors(
    found: BenchmarkFold,
    n_shots: int,
    config: EvaluationConfig,
    chosen: ChosenWeights,
    conditions: dict[str, str],
    folder: Path,
) -> None:
    from lerenet.evaluation.benchmarks import measure_as_authors, trained_size_px, write_benchmark_report
    from lerenet.training.benchmark.episodes import EpisodeForm

    form = EpisodeForm(n_shots, trained_size_px(chosen.path), config.label_rule, config.limits)
    facts = {"lists": found.source, **conditions, "precision": "float32"}
    with progress_bar() as bar:
        task = bar.add_task(f"{n_shots}-shot", total=sum(len(each.pairs) for each in found.novel))
        report = measure_as_authors(
            chosen.network, found, form, chosen.device, facts, lambda n: bar.update(task, advance=n)
        )
    output().print(report.as_table())
    write_benchmark_report(report, folder)


def _evaluate_clean(
    found: BenchmarkFold,
    config: EvaluationConfig,
    chosen: ChosenWeights,
    conditions: dict[str, str],
    folder: Path,
) -> None:
    from lerenet.evaluation.benchmarks import measure_clean
    from lerenet.evaluation.report import write_report
    from lerenet.evaluation.table import as_tables

    whole = replace(config, max_queries=None)
    with steps_shown() as show:
        report = measure_clean(
            chosen.network, found, whole, chosen.device, conditions, precision=chosen.precision, progress=show
        )
    output().print(as_tables(report))
    write_report(report, folder)
