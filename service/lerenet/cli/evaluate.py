"""`lerenet evaluate`: a network and its training-free rivals on a folder of marked images."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from lerenet.cli.display import output, progress_bar
from lerenet.cli.options import Device, Weights
from lerenet.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lerenet.evaluation.evaluate import Step
    from lerenet.evaluation.folder import DefectClass
    from lerenet.evaluation.labels import LabelRule
    from lerenet.evaluation.methods import Method
    from lerenet.evaluation.protocol import EvaluationConfig
    from lerenet.evaluation.report import Report
    from lerenet.inference.runner import Precision

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    data: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of [pack/]class/{images,masks,normal}.")
    ],
    shots: Annotated[str, typer.Option(help="Numbers of shots, with commas.")] = "1,5",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, over which spread is told.")] = 3,
    draws: Annotated[int, typer.Option(min=1, help="Support draws a class and seed.")] = 3,
    max_queries: Annotated[int, typer.Option(min=0, help="Most query images a draw; 0 for all.")] = 60,
    max_normals: Annotated[int, typer.Option(min=0, help="Most defect-free images a draw; 0 for all.")] = 60,
    classes: Annotated[
        str | None, typer.Option(help="Classes such as sd900/scratches, with commas.", show_default="all")
    ] = None,
    threshold: Annotated[str, typer.Option(help="Of the masks: 0 to 1, or `suggested`.")] = "0.5",
    label_rule: Annotated[str, typer.Option(help="What is marked in a grey mask: gt127, eq255 or gt0.")] = "gt127",
    weights: Weights = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="`auto`, `float32` or `bf16`.")] = "auto",
    note: Annotated[str, typer.Option(help="What the numbers are for, such as tuning or final.")] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Folder for report.json and overlays/.", show_default="runs/evaluation-DATE-TIME"
        ),
    ] = None,
) -> None:
    """Measure IoU and false alarms on marked images: class by class, mean and spread, beside two training-free rows."""
    from lerenet.evaluation.folder import open_folder
    from lerenet.evaluation.protocol import EvaluationConfig
    from lerenet.evaluation.report import write_report
    from lerenet.evaluation.table import as_tables

    config = EvaluationConfig(
        shots=_shots(shots),
        n_seeds=seeds,
        n_draws=draws,
        max_queries=max_queries or None,
        max_normals=max_normals or None,
        threshold=_threshold(threshold),
        label_rule=cast("LabelRule", label_rule),
    )
    found = open_folder(data, None if classes is None else [name.strip() for name in classes.split(",")])
    methods, conditions = _methods(weights, device, precision)
    folder = out or Path("runs") / f"evaluation-{datetime.now():%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)  # before hours are spent
    report = _measure(methods, found, config, note, {"data": data.resolve().name, **conditions})
    output().print(as_tables(report))
    write_report(report, folder)
    typer.echo(f"report and overlays in {folder}")


def _measure(
    methods: Sequence[Method],
    classes: Sequence[DefectClass],
    config: EvaluationConfig,
    note: str,
    conditions: dict[str, str],
) -> Report:
    from lerenet.evaluation.evaluate import evaluate as run

    with progress_bar() as bar:
        task = bar.add_task("reading", total=None)

        def show(step: Step) -> None:
            words = f"{step.method}, {step.class_name}"
            bar.update(task, completed=step.n_done, total=step.n_total, description=words)

        return run(methods, classes, config, show, note=note, conditions=conditions)


def _methods(weights: Path | None, device: str, precision: str) -> tuple[Sequence[Method], dict[str, str]]:
    from lerenet.evaluation.methods import standard_methods
    from lerenet.inference.device import choose_device
    from lerenet.inference.runner import settled_precision
    from lerenet.network.weights import load_weights, shipped_weights, weights_digest

    path, chosen = weights or shipped_weights(), choose_device(device)
    conditions = {
        "weights": path.name,
        "weights_digest": weights_digest(path),
        "device": str(chosen),
        "precision": settled_precision(_precision(precision), chosen),
    }
    return standard_methods(load_weights(path, chosen), chosen, _precision(precision)), conditions


def _precision(word: str) -> Precision:
    from lerenet.inference.runner import Precision

    if word not in get_args(Precision):
        raise ConfigurationError(f"precision={word}: use {', '.join(get_args(Precision))}")
    return cast("Precision", word)


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
