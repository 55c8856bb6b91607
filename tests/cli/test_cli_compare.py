from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run

pytestmark = pytest.mark.usefixtures("_no_curves")

FEW = ("--shots", "1", "--seeds", 1, "--draws", 1, "--max-queries", 1, "--workers", 0, "--device", "cpu")
SMALL = ("--size", 64, "--episodes", 4, "--batch", 1, "--validation-episodes", 1, "--precision", "float32")


def test_compare_prints_the_table_it_writes(run: Run, bars: Path, tiny_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("--data", bars, "--out", out, "--weights", tiny_weights, *FEW, *SMALL)
    result = run("compare", *words, "--peers", "cpanet", "--learning-rates", "1e-3", "--note", "tuning")
    assert result.exit_code == 0, result.output
    assert "training cpanet, learning rate 0.001" in result.output
    rows = json.loads((out / "comparison.json").read_text(encoding="utf-8"))["rows"]
    assert rows[-1]["name"] == "cpanet"
    assert "cpanet" in (out / "comparison.md").read_text(encoding="utf-8")


def test_compare_says_that_it_goes_on_when_its_time_is_up(
    run: Run, bars: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    words = ("--data", bars, "--out", tmp_path / "out", "--weights", tiny_weights, *FEW, *SMALL)
    result = run("compare", *words, "--hours", 0)
    assert result.exit_code == 1
    assert "the same command goes on" in result.output


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--learning-rates", "fast"), 2),
        (("--peers", "resnet"), 1),
        (("--precision", "half"), 1),
        (("--shots", "0"), 1),
    ],
)
def test_compare_refuses_what_cannot_be_run(
    run: Run, bars: Path, tiny_weights: Path, tmp_path: Path, words: tuple[str, str], status: int
) -> None:
    given = ("--data", bars, "--out", tmp_path / "out", "--weights", tiny_weights, *words)
    assert run("compare", *given).exit_code == status
