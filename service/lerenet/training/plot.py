"""Curves of a run as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

_SMOOTHED_ROWS = 15
_HELD_OUT = {
    "iou_one_shot": "held-out, 1 shot",
    "iou_several_shots": "held-out, several shots",
    "iou_synthetic": "held-out plates",
    "miou": "mIoU",
    "fb_iou": "FB-IoU",
}
"""What judgements may hold, and its name in the legend."""


def plot_curves(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws loss and IoU over the steps.

    Args:
        rows: Of `History`.
        path: PNG to write.
    """
    training = [row for row in rows if row["kind"] == "training" and not row["is_skipped"]]
    validation = [row for row in rows if row["kind"] == "validation"]
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    loss, iou = figure.subplots(1, 2)
    for name, label in (("loss", "total"), ("cross_entropy", "cross-entropy"), ("dice", "Dice")):
        _draw_smooth(loss, training, name, label)
    _draw_smooth(iou, training, "iou", "training")
    for name, label in _HELD_OUT.items():
        _draw(iou, validation, name, label, marker="o", markersize=3)
    _draw(iou, validation, "false_alarm_rate", "held-out, false alarms", linestyle=":", color="0.4")
    loss.set(title="Loss", xlabel="step", ylim=(0, None))
    iou.set(title="IoU", xlabel="step", ylim=(0, 1))
    for axes in (loss, iou):
        if axes.lines:
            axes.legend(loc="best")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def _draw(axes: Axes, rows: list[dict[str, Any]], name: str, label: str, **style: Any) -> None:
    shown = [row for row in rows if name in row]
    if shown:
        axes.plot([row["step"] for row in shown], [row[name] for row in shown], label=label, **style)


def _draw_smooth(axes: Axes, rows: list[dict[str, Any]], name: str, label: str) -> None:
    steps = np.array([row["step"] for row in rows])
    values = np.array([row[name] for row in rows], dtype=float)
    width = min(_SMOOTHED_ROWS, len(values))
    if width:
        smooth = np.convolve(values, np.full(width, 1 / width), mode="valid")
        axes.plot(steps[width - 1 :], smooth, label=label)
