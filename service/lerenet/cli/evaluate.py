"""`lerenet evaluate`: a network and its training-free rivals on a folder of marked images, or on a benchmark."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from lerenet.cli.benchmark_run import evaluate_on_benchmark
from lerenet.cli.chosen_weights import ChosenWeights, steps_shown
from lerenet.cli.display import output
from lerenet.cli.options import BenchmarkName, BenchmarkRoot, Device, Fold, Weights, required_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lerenet.datasets.folder import DefectClass
    from lerenet.datasets.labels import LabelRule
    from lerenet.evaluation.methods import Method
    from lerenet.evaluation.protocol import EvaluationConfig
    from lerenet.evaluation.report import Report

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of [pack/]class/{images,masks,normal}.",
            show_default="none: give --benchmark",
        ),
    ] = None,
    benchmark: BenchmarkName = None,
    root: BenchmarkRoot = None,
    fold: Fold = 0,
    protocol: Annotated[
        str,
        typer.Option(help="On a benchmark: `paper` as its authors measure, or `clean` with several support draws."),
    ] = "paper",
    shots: Annotated[str, typer.Option(help="Numbers of shots, with commas.")] = "1,5",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, over which spread is told.")] = 3,
    draws: Annotated[int, typer.Option(min=1, help="Support draws a class and seed.")] = 3,
    max_queries: Annotated[int, typer.Option(min=0, help="Most query images a draw; 0 for all.")] = 60,
    max_normals: Annotated[int, typer.Option(min=0, help="Most defect-free images a draw; 0 for all.")] = 60,
    normals: Annotated[int, typer.Option(min=0, help="Defect-free images registered with every support set.")] = 0,
    classes: Annotated[
        str | None, typer.Option(help="Classes such as sd900/scratches, with commas.", show_default="all")
    ] = None,
    threshold: Annotated[str, typer.Option(help="Of the masks: 0 to 1, or `suggested` with its least score.")] = "0.5",
    label_rule: Annotated[
        str | None,
        typer.Option(
            help="What is marked in a grey mask: gt127, eq255 or gt0.", show_default="gt127, on a benchmark eq255"
        ),
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="`auto`, `float32`, `tf32` or `bf16`.")] = "auto",
    note: Annotated[str, typer.Option(help="What the numbers are for, such as tuning or final.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Folder for report.json and overlays/.", show_default="runs/evaluation-DATE-TIME"
        ),
    ] = None,
) -> None:
    """Measure IoU and false alarms on marked images: class by class, mean and spread, beside training-free rows.

    On a benchmark: `--benchmark surface-defects-4i --root DIR --fold 0 --shots 1`, by the authors' protocol or a clean
    one; the report says which, and how the checkpoint was chosen.
    """
    if (data is None) == (benchmark is None):
        raise typer.BadParameter("give --data, or --benchmark with --root")
    from lerenet.evaluation.protocol import EvaluationConfig

    config = EvaluationConfig(
        shots=_shots(shots),
        n_seeds=seeds,
        n_draws=draws,
        max_queries=max_queries or None,
        max_normals=max_normals or None,
        n_normals=normals,
        threshold=_threshold(threshold),
        label_rule=cast("LabelRule", label_rule or ("gt127" if benchmark is None else "eq255")),
    )
    chosen = ChosenWeights(weights, device, precision)
    folder = out or Path("runs") / f"evaluation-{datetime.now():%Y%m%d-%H%M%S}"
    if benchmark is not None:
        evaluate_on_benchmark(benchmark, required_root(root), fold, protocol, config, chosen, folder)
    elif data is not None:
        _evaluate_folder(data, classes, config, chosen, note, folder)
    typer.echo(f"report in {folder}")


def _evaluate_folder(
    data: Path, classes: str | None, config: EvaluationConfig, chosen: ChosenWeights, note: str, folder: Path
) -> None:
    from lerenet.datasets.folder import open_folder
    from lerenet.evaluation.methods import standard_methods
    from lerenet.evaluation.report import write_report
    from lerenet.evaluation.table import as_tables

    found = open_folder(data, None if classes is None else [name.strip() for name in classes.split(",")])
    folder.mkdir(parents=True, exist_ok=True)  # before hours are spent
    methods = standard_methods(chosen.network, chosen.device, chosen.precision)
    report = _measure(methods, found, config, note, {"data": data.resolve().name, **chosen.conditions})
    output().print(as_tables(report))
    write_report(report, folder)


def _measure(
    methods: Sequence[Method],
    classes: Sequence[DefectClass],
    config: EvaluationConfig,
    note: str,
    conditions: dict[str, str],
) -> Report:
    from lerenet.evaluation.evaluate import evaluate as run

    with steps_shown() as show:
        return run(methods, classes, config, show, note=note, conditions=conditions)


def _shots(words: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in words.split(","))
    except ValueError as err:
        raise typer.BadParameter(f"{words!r} is no list of numbers such as 1,5", param_hint="--shots") from err


def _threshold(word: str) -> float | Literal["suggested"]:
    if word == "suggested":
        return "suggested"
    try:
        return float(word)
    except ValueError as err:
        raise typer.BadParameter(f"{word!r} is neither `suggested` nor a number", param_hint="--threshold") from err
