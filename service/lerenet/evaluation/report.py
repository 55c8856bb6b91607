"""The outcome of an evaluation as data, and as JSON with overlay sheets in a run folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lerenet.evaluation.metrics import Figures, Tally, measure, pooled_reliability
from lerenet.evaluation.reliability import plot_reliability
from lerenet.evaluation.sheets import ClassSheet, render_sheet
from lerenet.imaging.images import encode_image_png

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lerenet.evaluation.protocol import EvaluationConfig

REPORT_FILE = "report.json"
RELIABILITY_FILE = "reliability.png"
SHEETS_FOLDER = "overlays"


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """What a class offered.

    Attributes:
        name: The class.
        n_images: Images with masks.
        n_unmarked: Those whose mask marks nothing under the label rule; they were asked, but never supported.
        n_groups: Independent views among them.
        is_grouped: Whether an index gave the groups.
        n_normals: Defect-free images.
        n_queries: Most queries of a draw.
    """

    name: str
    n_images: int
    n_unmarked: int
    n_groups: int
    is_grouped: bool
    n_normals: int
    n_queries: int


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What one method did.

    Attributes:
        name: The method.
        tallies: One for each class, seed, draw and number of shots.
        wall_s: Seconds it took, reading and scoring included.
    """

    name: str
    tallies: tuple[Tally, ...]
    wall_s: float


@dataclass(frozen=True, eq=False)
class Report:
    """An evaluation.

    Attributes:
        config: What was measured.
        note: What the numbers are for, such as `tuning` or `final`.
        conditions: What else made them: weights and their digest, device, versions.
        classes: What each class offered.
        results: What each method did.
        sheets: A page a class.
    """

    config: EvaluationConfig
    note: str
    conditions: Mapping[str, str]
    classes: tuple[ClassSummary, ...]
    results: tuple[MethodResult, ...]
    sheets: tuple[ClassSheet, ...]

    def figures(self, method: str, n_shots: int, class_name: str | None = None) -> Figures:
        """Figures of a method at a number of shots, of one class or (None) of all together."""
        return measure(
            [
                tally
                for result in self.results
                for tally in result.tallies
                if result.name == method and tally.n_shots == n_shots and class_name in (None, tally.class_name)
            ]
        )


def as_document(report: Report) -> dict[str, Any]:
    """The report as plain data for JSON: figures first, then every tally they were made from."""
    return {
        "note": report.note,
        "config": asdict(report.config),
        "conditions": dict(report.conditions),
        "classes": [asdict(summary) for summary in report.classes],
        "results": [_result_document(report, result) for result in report.results],
    }


def write_report(report: Report, folder: Path) -> None:
    """Writes `report.json`, `reliability.png` and `overlays/<class>.png` into a run folder, made when it is missing.

    Raises:
        OSError: The folder cannot be written.
    """
    sheets = folder / SHEETS_FOLDER
    sheets.mkdir(parents=True, exist_ok=True)
    (folder / REPORT_FILE).write_text(json.dumps(as_document(report), indent=2) + "\n", encoding="utf-8")
    for sheet in report.sheets:
        page = sheets / f"{sheet.class_name.replace('/', '-')}.png"
        page.write_bytes(encode_image_png(render_sheet(sheet)))
    plot_reliability(
        {
            f"{n_shots}-shot": {
                result.name: pooled_reliability(tally for tally in result.tallies if tally.n_shots == n_shots)
                for result in report.results
            }
            for n_shots in report.config.shots
        },
        folder / RELIABILITY_FILE,
    )


def _result_document(report: Report, result: MethodResult) -> dict[str, Any]:
    names = [summary.name for summary in report.classes]
    return {
        "method": result.name,
        "wall_s": round(result.wall_s, 1),
        "shots": {
            str(n_shots): {
                "all": asdict(report.figures(result.name, n_shots)),
                "classes": {name: asdict(report.figures(result.name, n_shots, name)) for name in names},
            }
            for n_shots in report.config.shots
        },
        "tallies": [asdict(tally) for tally in result.tallies],
    }
