"""`lerenet train`: a network from synthetic plates, from a fold of a benchmark, or fine-tuned on marked images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lerenet.cli.benchmark_run import train_on_benchmark
from lerenet.cli.fine_tuning import STOPPED, fine_tune_on
from lerenet.cli.options import BenchmarkName, BenchmarkRoot, Fold, required_root

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
        typer.Option(
            "--init",
            "--init-weights",
            exists=True,
            dir_okay=False,
            help="Weights to start from; with --data the shipped ones by default.",
            show_default=_default("none"),
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="`auto`, `cuda` or `cpu`.", show_default=_default("auto"))] = None,
    threads: Annotated[
        int | None, typer.Option(min=0, help="CPU threads; 0 leaves it to torch.", show_default=_default("0"))
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that make plates.", show_default=_default("1"))
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with the run in the run folder.")] = True,
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Fine-tune on this folder of [pack/]class/{images,masks,normal}.",
            show_default="none",
        ),
    ] = None,
    synthetic: Annotated[
        float, typer.Option(min=0, max=0.99, help="With --data: share of the episodes that stay synthetic.")
    ] = 0.5,
    benchmark: BenchmarkName = None,
    root: BenchmarkRoot = None,
    fold: Fold = 0,
    shots: Annotated[int, typer.Option(min=1, help="Shots of an episode on a benchmark.")] = 1,
    protocol: Annotated[
        str,
        typer.Option(help="What chooses the checkpoint on a benchmark: `paper` (its test list) or `clean` (held out)."),
    ] = "paper",
    backbone: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="ImageNet file for the backbone of a paper network.", show_default="none"
        ),
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training list of a benchmark.")] = 200,
    label_rule: Annotated[
        str | None,
        typer.Option(
            help="What is marked in a grey mask: gt127, eq255 or gt0.", show_default="gt127, on a benchmark eq255"
        ),
    ] = None,
) -> None:
    """Train a network on synthetic plates alone, on a fold of a benchmark, or fine-tune one on marked images.

    The same command goes on with a run that was stopped; the exit status is 1 when it stops before its end, and when
    fine-tuning has made nothing better.
    """
    if data is not None and benchmark is not None:
        raise typer.BadParameter("give --data or --benchmark, not both")
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
    if benchmark is not None:
        plan = {"benchmark": benchmark, "fold": fold, "shots": shots, "protocol": protocol, "epochs": epochs}
        plan |= {"label_rule": label_rule or "eq255", "backbone": "" if backbone is None else str(backbone)}
        is_done = _train_on_benchmark(config, steps, out, required_root(root), resume=resume, plan=plan | given)
    elif data is not None:
        is_done = fine_tune_on(data, config, out, synthetic, label_rule or "gt127", given, resume=resume)
    else:
        is_done = _train_on_plates(_resolved(config, out, given), out, resume=resume)
    if not is_done:
        raise typer.Exit(1)


def _train_on_plates(config: TrainingConfig, out: Path, *, resume: bool) -> bool:
    from lerenet.training import train as run

    outcome = run(config, out, resume=resume)
    iou = "not validated" if outcome.best_iou is None else f"best held-out IoU {outcome.best_iou:.3f}"
    typer.echo(f"{outcome.step} steps, {iou}; weights, curves and checkpoints in {out}")
    if not outcome.is_complete:
        typer.echo(STOPPED)
    return outcome.is_complete


def _train_on_benchmark(
    config: Path | None, steps: int | None, out: Path, root: Path, *, resume: bool, plan: dict[str, Any]
) -> bool:
    if config is not None or steps is not None:
        raise typer.BadParameter(
            "on a benchmark the length is --epochs, and the recipe is fixed: no CONFIG, no --steps"
        )
    plan.pop("steps", None)  # --hours alone has set it to 0
    return train_on_benchmark(out, root, resume=resume, **plan)


def _resolved(config: Path | None, out: Path, overrides: dict[str, Any]) -> TrainingConfig:
    from lerenet.training import TrainingConfig

    saved = out / "config.toml"
    path = config or (saved if saved.exists() else None)
    return TrainingConfig(**overrides) if path is None else TrainingConfig.from_toml(path, **overrides)
