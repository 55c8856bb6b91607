"""`lerenet train`: a network from synthetic plates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lerenet.training import TrainingConfig

app = typer.Typer(add_completion=False)


def _default(value: object) -> str:
    return f"as in CONFIG, else {value}"


@app.command()
def train(
    config: Annotated[
        Path | None,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="TOML that lists what differs from the defaults.",
            show_default="config.toml of the run folder, if it is there",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="Run folder.")] = Path("runs/train"),
    hours: Annotated[
        float | None,
        typer.Option(
            min=0, help="Time budget in hours; alone, it replaces the number of steps.", show_default=_default("none")
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=0, help="Length of the run in steps.", show_default=_default("4000"))
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Decides initial weights and plates.", show_default=_default("1"))
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(help="`metal`, `paper-resnet50`, `paper-vgg16` or `tiny`.", show_default=_default("metal")),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=64, help="Side of a plate in pixels, a multiple of 8.", show_default=_default("200")),
    ] = None,
    init_weights: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Weights to start from.", show_default=_default("none")),
    ] = None,
    device: Annotated[str | None, typer.Option(help="`auto`, `cuda` or `cpu`.", show_default=_default("auto"))] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="CPU threads; 0 leaves it to torch.", show_default=_default("0"))
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that make plates.", show_default=_default("1"))
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in the run folder.")] = True,
) -> None:
    """Train a network on synthetic plates alone.

    The same command goes on with a run that was stopped; the exit status is 1 when it stops before its end.
    """
    from lerenet.training import train as run

    overrides = {
        "max_hours": hours,
        "steps": 0 if steps is None and hours else steps,
        "seed": seed,
        "network": network,
        "size_px": size,
        "init_weights": None if init_weights is None else str(init_weights),
        "device": device,
        "threads": threads,
        "num_workers": workers,
    }
    given = {name: value for name, value in overrides.items() if value is not None}
    outcome = run(_resolved(config, out, given), out, resume=resume)
    iou = "not validated" if outcome.best_iou is None else f"best held-out IoU {outcome.best_iou:.3f}"
    typer.echo(f"{outcome.step} steps, {iou}; weights, curves and checkpoints in {out}")
    if not outcome.is_complete:
        typer.echo("stopped before the end; the same command goes on")
        raise typer.Exit(1)


def _resolved(config: Path | None, out: Path, overrides: dict[str, Any]) -> TrainingConfig:
    from lerenet.training import TrainingConfig

    saved = out / "config.toml"
    path = config or (saved if saved.exists() else None)
    return TrainingConfig(**overrides) if path is None else TrainingConfig.from_toml(path, **overrides)
