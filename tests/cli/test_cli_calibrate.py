from __future__ import annotations

from pathlib import Path

import torch
from typer.testing import CliRunner

from builders import tiny_network
from lerenet.cli.main import app
from lerenet.network.weights import load_weights, save_weights

FAST = ["--episodes", "4", "--size", "64", "--device", "cpu"]


def test_calibrate_writes_the_same_weights_with_a_confidence(tmp_path: Path) -> None:
    file, out, plot = tmp_path / "a.safetensors", tmp_path / "b.safetensors", tmp_path / "reliability.png"
    save_weights(tiny_network(), file)
    result = CliRunner().invoke(app, ["calibrate", str(file), "--out", str(out), "--plot", str(plot), *FAST])
    assert result.exit_code == 0, result.output
    before, after = load_weights(file), load_weights(out)
    assert before.confidence is None
    assert after.confidence is not None
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), after.parameters(), strict=True))
    assert "calibration error" in result.output
    assert plot.stat().st_size > 1000


def test_calibrate_replaces_the_file_without_an_out(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_weights(tiny_network(), file)
    assert CliRunner().invoke(app, ["calibrate", str(file), *FAST]).exit_code == 0
    assert load_weights(file).confidence is not None
