"""What `lerenet train --data` does."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, cast

import typer

from lerenet.cli.display import print_table
from lerenet.cli.failures import faults_listed

if TYPE_CHECKING:
    from pathlib import Path

    from lerenet.datasets.labels import LabelRule
    from lerenet.training import TrainingConfig
    from lerenet.training.finetuning import FineTuned

FEW_IMAGES = 5
STOPPED = "stopped before the end; the same command goes on"


def fine_tune_on(
    data: Path,
    config: Path | None,
    out: Path,
    synthetic_share: float,
    label_rule: str,
    overrides: dict[str, Any],
    *,
    resume: bool,
) -> bool:
    """Fine-tunes weights on a folder and says what came of it; False where there are no new weights."""
    from lerenet.training.finetuning import FineTuningPlan, fine_tune

    plan = FineTuningPlan(str(data), synthetic_share, cast("LabelRule", label_rule))
    with faults_listed():
        done = fine_tune(_resolved(config, overrides), plan, out, resume=resume)
    _tell(done, out)
    return done.weights is not None


def _resolved(path: Path | None, overrides: dict[str, Any]) -> TrainingConfig:
    """Defaults of fine-tuning, then the file, then the options; weights are the shipped ones unless they are named."""
    from lerenet.network.weights import shipped_weights
    from lerenet.training import TrainingConfig
    from lerenet.training.finetuning import FINE_TUNING

    defaults = FINE_TUNING | {"init_weights": str(shipped_weights())}
    if path is None:
        return TrainingConfig(**(defaults | overrides))
    TrainingConfig.from_toml(path)  # refuses what cannot be, in its own words
    return TrainingConfig(**(defaults | tomllib.loads(path.read_text(encoding="utf-8")) | overrides))


def _tell(done: FineTuned, out: Path) -> None:
    if done.after is None:
        typer.echo(STOPPED)
        return
    before, after = done.before, done.after
    rows = [
        ("1 shot", before.iou_one_shot, after.iou_one_shot),
        ("several shots", before.iou_several_shots, after.iou_several_shots),
        *((name, iou, after.class_iou[name]) for name, iou in before.class_iou.items()),
        ("synthetic plates", before.iou_synthetic, after.iou_synthetic),
        ("false alarms", before.false_alarm_rate, after.false_alarm_rate),
    ]
    print_table(("held-out IoU", "before", "after"), rows)
    typer.echo(f"judged on {after.n_queries} marked and {after.n_normals} defect-free images that took no part")
    if after.n_queries < FEW_IMAGES:
        typer.echo("so few images say little: look at the masks with `lerenet weights compare` before you switch")
    if done.weights is None:
        typer.echo(f"The held-out part did not improve: the initial weights stay, none were written. See {out}")
    else:
        typer.echo(f"better: {done.weights}, with manifest.toml and model-card.md beside it")
        typer.echo(
            f"serve them with LERENET_WEIGHTS={done.weights}; `lerenet weights compare` shows first what changes"
        )
