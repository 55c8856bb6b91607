"""The report as tables for a terminal: one for each number of shots, a column a method."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lerenet.evaluation.metrics import Spread
from lerenet.inference.assessment import ALARM_PX

if TYPE_CHECKING:
    from collections.abc import Callable

    from lerenet.evaluation.metrics import Figures
    from lerenet.evaluation.report import Report

TOTALS: tuple[tuple[str, Callable[[Figures], Spread | None]], ...] = (
    ("mIoU", lambda figures: figures.iou),
    ("FB-IoU", lambda figures: figures.fb_iou),
    ("false-alarm rate", lambda figures: figures.false_alarm_rate),
    ("false-alarm area", lambda figures: figures.false_alarm_area),
    (f"alarm over {ALARM_PX} px", lambda figures: figures.large_alarm_rate),
    ("calibration error", lambda figures: _single(figures.calibration_error)),
)


def _single(value: float | None) -> Spread | None:
    return None if value is None else Spread(value, None)


def as_tables(report: Report) -> Group:
    """What `rich` prints: class IoU, mIoU, FB-IoU and false alarms, mean ± deviation over seeds, in percent."""
    tables = [_table(report, n_shots) for n_shots in report.config.shots]
    return Group(*tables, Text(_caption(report), style="dim"))


def _table(report: Report, n_shots: int) -> Table:
    table = Table(title=f"{n_shots}-shot{f' ({report.note})' if report.note else ''}", title_justify="left")
    table.add_column("class IoU, %")
    names = [result.name for result in report.results]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for summary in report.classes:
        cells = [_cell(report.figures(name, n_shots, summary.name).iou) for name in names]
        table.add_row(summary.name, *cells)
    table.add_section()
    totals = [report.figures(name, n_shots) for name in names]
    for title, figure in TOTALS:
        table.add_row(title, *(_cell(figure(figures)) for figures in totals))
    return table


def _cell(value: Spread | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value.mean:.1f}" + ("" if value.sd is None else f" ±{100 * value.sd:.1f}")


def _caption(report: Report) -> str:
    config = report.config
    ungrouped = [summary.name for summary in report.classes if not summary.is_grouped]
    lines = [
        "false alarms: share of defect-free images with a mask that is not empty, of their area, with a large region",
        "calibration error: how far the scores of regions are from the share of them that is right",
        f"mean ± standard deviation over {config.n_seeds} seeds of {config.n_draws} support draws each",
        f"threshold {config.threshold}, label rule {config.label_rule}, queries a draw: "
        f"{f'at most {config.max_queries}' if config.max_queries else 'all'}",
        ", ".join(f"{name} {value}" for name, value in report.conditions.items()),
    ]
    if config.n_normals:
        lines.append(f"{config.n_normals} normals of views of their own are registered where a class has any")
    if ungrouped:
        lines.append(f"no index.csv, so every image counts as a view of its own: {', '.join(ungrouped)}")
    return "\n".join(lines)
