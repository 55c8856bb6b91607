from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from lerenet.evaluation.metrics import AlarmCounts, Tally
from lerenet.evaluation.protocol import EvaluationConfig
from lerenet.evaluation.report import ClassSummary, MethodResult, Report, write_report
from lerenet.evaluation.sheets import ClassSheet, SheetRow
from lerenet.evaluation.table import as_tables
from lerenet.imaging import ImageLimits, OverlapCounts, Shot, decode_image


def tally(name: str, seed: int, n_shots: int, tp: int, alarms: AlarmCounts | None = None) -> Tally:
    """Of 100 pixels, 20 of them defect: `tp` found, nothing else marked."""
    return Tally(name, seed, 0, n_shots, 0.5, 1, OverlapCounts(tp, 0, 20 - tp, 80), alarms or AlarmCounts())


@pytest.fixture
def report() -> Report:
    """One method, two classes, two seeds: 1-shot IoU 0.5 and 0.6 on the first class, 0.8 on the second."""
    asked = AlarmCounts(n_images=8, n_alarms=1, n_pixels=800, alarm_px=4)
    one = [tally("mt/cracks", 0, 1, 10, asked), tally("mt/cracks", 1, 1, 12, asked)]
    one += [tally("steel/bars", seed, 1, 16) for seed in (0, 1)]
    five = [tally(name, seed, 5, 18) for name in ("mt/cracks", "steel/bars") for seed in (0, 1)]
    plate = Shot(np.full((8, 8), 128, dtype=np.uint8), np.ones((8, 8), dtype=np.uint8))
    row = SheetRow(plate, {"LERENet 1-shot": plate.mask})
    return Report(
        config=EvaluationConfig(shots=(1, 5), n_seeds=2, n_draws=1),
        note="tuning",
        conditions={"weights": "metal.safetensors", "digest": "abc"},
        classes=(
            ClassSummary("mt/cracks", 8, 0, 5, True, 3, 6),
            ClassSummary("steel/bars", 7, 1, 7, False, 0, 4),
        ),
        results=(MethodResult("LERENet", tuple(one + five), 12.34),),
        sheets=tuple(ClassSheet(name, (plate,), (row,)) for name in ("mt/cracks", "steel/bars")),
    )


def printed(report: Report, width: int = 80) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(as_tables(report))
    return capture.get().splitlines()


def line_with(lines: list[str], text: str) -> str:
    return next(line for line in lines if text in line)


def test_figures_are_of_the_method_shots_class_asked_for(report: Report) -> None:
    assert report.figures("LERENet", 1, "mt/cracks").iou.mean == pytest.approx(0.55)
    assert report.figures("LERENet", 1).iou.mean == pytest.approx((0.55 + 0.8) / 2)
    assert report.figures("LERENet", 5).iou.mean == pytest.approx(0.9)


def test_table_gives_mean_with_deviation_in_percent(report: Report) -> None:
    lines = printed(report)
    assert "55.0 ±7.1" in line_with(lines, "mt/cracks")
    assert "80.0 ±0.0" in line_with(lines, "steel/bars")
    assert "67.5 ±3.5" in line_with(lines, "mIoU")
    assert "12.5 ±0.0" in line_with(lines, "false-alarm rate")


def test_table_stands_for_each_number_of_shots_with_the_note(report: Report) -> None:
    lines = printed(report)
    assert [line.strip() for line in lines if "-shot" in line] == ["1-shot (tuning)", "5-shot (tuning)"]


def test_table_dashes_what_was_not_measured(report: Report) -> None:
    of_five_shots = printed(report)[-15:]
    assert line_with(of_five_shots, "false-alarm rate").split()[-2] == "-"


def test_table_tells_the_conditions(report: Report) -> None:
    text = "\n".join(printed(report, width=200))
    assert "label rule gt127" in text
    assert "weights metal.safetensors, digest abc" in text
    assert "no index.csv, so every image counts as a view of its own: steel/bars" in text


def test_table_fits_a_terminal_of_80_columns(report: Report) -> None:
    assert max(len(line) for line in printed(report)) <= 80


def test_run_folder_holds_the_report_as_json(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path / "runs" / "a")
    document = json.loads((tmp_path / "runs" / "a" / "report.json").read_text(encoding="utf-8"))
    result = document["results"][0]
    assert document["note"] == "tuning"
    assert document["config"]["label_rule"] == "gt127"
    assert document["conditions"]["digest"] == "abc"
    assert result["shots"]["1"]["all"]["iou"]["mean"] == pytest.approx(0.675)
    assert result["shots"]["1"]["classes"]["mt/cracks"]["false_alarm_rate"]["mean"] == pytest.approx(0.125)
    assert result["shots"]["5"]["all"]["false_alarm_rate"] is None
    assert result["tallies"][0]["overlap"] == {"tp": 10, "fp": 0, "fn": 10, "tn": 80}


def test_run_folder_holds_a_page_a_class(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    pages = sorted((tmp_path / "overlays").iterdir())
    assert [page.name for page in pages] == ["mt-cracks.png", "steel-bars.png"]
    assert decode_image(pages[0].read_bytes(), ImageLimits()).shape[2] == 3


def test_run_folder_holds_the_reliability_diagram(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    assert decode_image((tmp_path / "reliability.png").read_bytes(), ImageLimits()).ndim == 3
