"""A comparison as far as it has come, its table and its files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from lerenet.evaluation.comparison_training import write_json
from lerenet.evaluation.report import Report, as_document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lerenet.evaluation.comparison_rows import Row
    from lerenet.evaluation.comparison_training import TrialOutcome
    from lerenet.evaluation.metrics import Spread
    from lerenet.evaluation.protocol import EvaluationConfig

JSON_FILE, TABLE_FILE = "comparison.json", "comparison.md"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Rows and trials so far.

    Attributes:
        config: The protocol.
        note: What the numbers are for.
        rows: Measured rows.
        trials: Finished trials of the rows that were trained.
        is_complete: False when a signal or the time ended it first.
    """

    config: EvaluationConfig
    note: str
    rows: tuple[Row, ...] = ()
    trials: tuple[TrialOutcome, ...] = ()
    is_complete: bool = False

    @property
    def report(self) -> Report:
        """The figures, by name of row; conditions are those of the first."""
        return Report(
            config=self.config,
            note=self.note,
            conditions=self.rows[0].conditions if self.rows else {},
            classes=self.rows[0].classes if self.rows else (),
            results=tuple(row.result for row in self.rows),
            sheets=(),
        )

    def with_row(self, row: Row) -> Comparison:
        """One more row."""
        return replace(self, rows=(*self.rows, row))

    def with_trials(self, trials: Sequence[TrialOutcome]) -> Comparison:
        """More trials."""
        return replace(self, trials=(*self.trials, *trials))

    def completed(self) -> Comparison:
        """The same, with nothing left to do."""
        return replace(self, is_complete=True)


def table_columns(comparison: Comparison) -> tuple[str, ...]:
    """Titles of the table's columns; figures are in percent."""
    figures = (f"{name} {k}-shot" for k in comparison.config.shots for name in ("mIoU", "FB-IoU", "alarms"))
    return ("", *figures, "held-out IoU", "queries", "rate", "parameters, M", "GMAC image", "GMAC class")


def table_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Cells of the table, a row a contender: mean ± deviation over seeds."""
    report = comparison.report
    return [(row.name, *_figures(report, row), *_making(row)) for row in comparison.rows]


def as_markdown(comparison: Comparison) -> str:
    """The table as Markdown, with what made it."""
    report = comparison.report
    columns, config = table_columns(comparison), comparison.config
    lines = [_line(columns), _line(["---", *["---:"] * (len(columns) - 1)])]
    lines += [_line(cells) for cells in table_rows(comparison)]
    remarks = [
        f"Mean ± standard deviation over {config.n_seeds} seeds of {config.n_draws} support draws each, in percent; "
        f"threshold {config.threshold}, label rule {config.label_rule}. "
        "Alarms: share of defect-free images with a mask that is not empty.",
        f"Queries: what a network learned from. Rate: {_tried(comparison)}. "
        "GMAC: billions of multiply-accumulates for an image, and for a 1-shot class on it.",
        f"Classes: {', '.join(summary.name for summary in report.classes)}"
        + (f" ({comparison.note})." if comparison.note else "."),
        ", ".join(f"{name} {value}" for name, value in report.conditions.items()) + ".",
    ]
    return "\n".join(lines) + "\n\n" + "\n\n".join(remarks) + "\n"


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes `comparison.json`, with every tally, and `comparison.md` into a folder that exists."""
    write_json(folder / JSON_FILE, as_plain(comparison))
    (folder / TABLE_FILE).write_text(as_markdown(comparison), encoding="utf-8")


def as_plain(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data for JSON: the report of an evaluation, with rows and trials beside it."""
    rows = [
        {
            "name": row.name,
            "kind": row.kind,
            "learning_rate": row.learning_rate,
            "held_out_iou": row.held_out_iou,
            "n_episodes": row.n_episodes,
            **asdict(row.cost),
        }
        for row in comparison.rows
    ]
    trials = [
        {
            "peer": trial.peer,
            "learning_rate": trial.learning_rate,
            "n_episodes": trial.n_episodes,
            "held_out_iou": trial.held_out_iou,
        }
        for trial in comparison.trials
    ]
    return {"rows": rows, "trials": trials, "report": as_document(comparison.report)}


def _tried(comparison: Comparison) -> str:
    rates = sorted({trial.learning_rate for trial in comparison.trials})
    lengths = sorted({trial.n_episodes for trial in comparison.trials})
    tried = ", ".join(f"{rate:g}" for rate in rates) + " after " + ", ".join(f"{n:,} queries" for n in lengths)
    return "of those tried, the best on held-out synthetic plates" + (f" ({tried})" if rates else "")


def _figures(report: Report, row: Row) -> list[str]:
    found = [report.figures(row.name, k) for k in report.config.shots]
    return [_percent(value) for each in found for value in (each.iou, each.fb_iou, each.false_alarm_rate)]


def _making(row: Row) -> tuple[str, ...]:
    return (
        "-" if row.held_out_iou is None else f"{100 * row.held_out_iou:.1f}",
        "-" if row.n_episodes is None else f"{row.n_episodes:,}",
        "-" if row.learning_rate is None else f"{row.learning_rate:g}",
        f"{row.cost.n_parameters / 1e6:.2f}",
        f"{row.cost.shared_gmac:.2f}",
        f"{row.cost.class_gmac:.2f}",
    )


def _percent(value: Spread | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value.mean:.1f}" + ("" if value.sd is None else f" ±{100 * value.sd:.1f}")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
