"""The reliability diagram: over the score of regions, the share of them that is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

    from lerenet.inference.reliability import ScoreBins

_DOT_AREA = 300.0


def plot_reliability(panels: Mapping[str, Mapping[str, ScoreBins]], path: Path) -> None:
    """Draws a panel for each entry, with a curve for each of its bins; a dot's area grows with its regions.

    Args:
        panels: By title, curves by label.
        path: PNG to write.
    """
    figure = Figure(figsize=(4.8 * len(panels), 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as promised")
        for label, bins in curves.items():
            _draw(axes, label, bins)
        axes.set(title=title, xlabel="score of the region", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
        axes.legend(loc="lower right")
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def _draw(axes: Axes, label: str, bins: ScoreBins) -> None:
    if bins.error is None:
        return
    scores, shares, counts = zip(*bins.points(), strict=True)
    name = f"{label}: {sum(counts)} regions, error {100 * bins.error:.1f} %"
    (line,) = axes.plot(scores, shares, label=name)
    sizes = [_DOT_AREA * n / sum(counts) for n in counts]
    axes.scatter(scores, shares, s=sizes, color=line.get_color(), alpha=0.6, clip_on=False)
