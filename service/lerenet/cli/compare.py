"""`lerenet compare`: every peer trained on the same episodes, and one table of all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from lerenet.cli.display import output, print_table
from lerenet.cli.options import Device, Weights

if TYPE_CHECKING:
    from lerenet.evaluation.comparison import ComparisonConfig

app = typer.Typer(add_completion=False)


@app.command()
def compare(
    data: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="Folder of [pack/]class/{images,masks,normal}.")
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the comparison; it resumes.")],
    episodes: Annotated[int, typer.Option(min=1, help="Queries that each peer learns from.")] = 10_000,
    peers: Annotated[str | None, typer.Option(help="Networks to train, with commas.", show_default="all")] = None,
    learning_rates: Annotated[str, typer.Option(help="Tried for each peer, with commas.")] = "3e-4,1e-3,3e-3",
    trial_episodes: Annotated[
        int | None,
        typer.Option(min=1, help="Queries that each learning rate is tried with.", show_default="as --episodes"),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Classes in a training step, four plates each.")] = 2,
    size: Annotated[int, typer.Option(min=64, help="Side of a plate in pixels, a multiple of 8.")] = 200,
    validation_episodes: Annotated[int, typer.Option(min=1, help="Held-out classes that choose weights.")] = 48,
    seed: Annotated[int, typer.Option(min=0, help="Decides initial weights and plates.")] = 1,
    hours: Annotated[
        float | None, typer.Option(min=0, help="Time for this call, in hours.", show_default="no limit")
    ] = None,
    shots: Annotated[str, typer.Option(help="Numbers of shots, with commas.")] = "1,5",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, over which spread is told.")] = 3,
    draws: Annotated[int, typer.Option(min=1, help="Support draws a class and seed.")] = 3,
    max_queries: Annotated[int, typer.Option(min=0, help="Most query images a draw; 0 for all.")] = 60,
    max_normals: Annotated[int, typer.Option(min=0, help="Most defect-free images a draw; 0 for all.")] = 60,
    classes: Annotated[
        str | None, typer.Option(help="Classes such as sd900/scratches, with commas.", show_default="all")
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="Of the training: `auto`, `bf16` or `float32`.")] = "auto",
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves it to torch.")] = 0,
    workers: Annotated[int, typer.Option(min=0, help="Processes that make plates.")] = 1,
    note: Annotated[str, typer.Option(help="What the numbers are for, such as tuning or final.")] = "",
) -> None:
    """Train every peer on the same synthetic episodes, then measure all by one protocol.

    The same command goes on with a comparison that was stopped; the exit status is 1 when it stops before its end.
    """
    import torch

    from lerenet.evaluation.baselines import PEERS
    from lerenet.evaluation.comparison import ComparisonConfig
    from lerenet.evaluation.comparison_training import Budget
    from lerenet.evaluation.protocol import EvaluationConfig
    from lerenet.training.config import TrainingConfig

    training = TrainingConfig(
        n_episodes=batch,
        size_px=size,
        seed=seed,
        precision=cast("Literal['auto', 'bf16', 'float32']", precision),
        num_workers=workers,
        validation_episodes=validation_episodes,
    )
    evaluation = EvaluationConfig(
        shots=tuple(int(number) for number in _numbers(shots, "--shots")),
        n_seeds=seeds,
        n_draws=draws,
        max_queries=max_queries or None,
        max_normals=max_normals or None,
    )
    config = ComparisonConfig(
        peers=PEERS if peers is None else _words(peers),
        learning_rates=_numbers(learning_rates, "--learning-rates"),
        budget=Budget(episodes, training),
        trial_episodes=trial_episodes,
        evaluation=evaluation,
    )
    if threads:
        torch.set_num_threads(threads)
    names = None if classes is None else _words(classes)
    _run(config, data, names, out, weights, device, math.inf if hours is None else hours, note)


def _run(
    config: ComparisonConfig,
    data: Path,
    classes: tuple[str, ...] | None,
    out: Path,
    weights: Path | None,
    device: str,
    hours: float,
    note: str,
) -> None:
    from lerenet.datasets.folder import open_folder
    from lerenet.evaluation.comparison import compare as run
    from lerenet.evaluation.comparison_table import table_columns, table_rows
    from lerenet.inference.device import choose_device
    from lerenet.network.weights import shipped_weights

    comparison = run(
        config,
        open_folder(data, classes),
        out,
        weights=weights or shipped_weights(),
        device=choose_device(device),
        hours=hours,
        note=note,
        tell=output().print,
    )
    print_table(table_columns(comparison), table_rows(comparison))
    typer.echo(f"table and all counts in {out}")
    if not comparison.is_complete:
        typer.echo("stopped before the end; the same command goes on")
        raise typer.Exit(1)


def _words(line: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in line.split(","))


def _numbers(line: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in _words(line))
    except ValueError as err:
        raise typer.BadParameter(f"{line!r} is no list of numbers", param_hint=option) from err
