from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builders import tiny_network
from cli.conftest import Run
from lerenet.network.weights import save_weights, weights_digest

MANIFEST = """
[[weights]]
file = "tiny.safetensors"
sha256 = "{sha256}"
bytes = {bytes}
preset = "metal"
input = "RGB [any size]"
made = "for a test"
"""


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped weights with one file in it."""
    folder = tmp_path / "model_weights"
    folder.mkdir()
    path = folder / "tiny.safetensors"
    save_weights(tiny_network(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest = MANIFEST.format(sha256=digest, bytes=path.stat().st_size)
    (folder / "manifest.toml").write_text(manifest, encoding="utf-8")
    monkeypatch.setattr("lerenet.network.weights.weights_folder", lambda: folder)
    return path


def test_list_shows_the_manifest(run: Run, shipped: Path) -> None:
    result = run("weights", "list")
    assert result.exit_code == 0
    assert "tiny.safetensors" in result.output
    assert "RGB [any size]" in result.output


def test_verify_accepts_whole_files(run: Run, shipped: Path) -> None:
    result = run("weights", "verify")
    assert (result.exit_code, result.output) == (0, f"tiny.safetensors: whole, sha256 {weights_digest(shipped)}\n")


def test_verify_refuses_a_changed_file(run: Run, shipped: Path) -> None:
    shipped.write_bytes(shipped.read_bytes() + b" ")
    result = run("weights", "verify")
    assert result.exit_code == 1
    assert "the manifest says" in result.stderr


def test_info_describes_the_shipped_network(run: Run, shipped: Path) -> None:
    result = run("weights", "info")
    assert result.exit_code == 0
    n_parameters = sum(parameter.numel() for parameter in tiny_network().parameters())
    for expected in (weights_digest(shipped), str(n_parameters), "metal"):
        assert expected in result.output


def test_info_of_another_file_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no weights", encoding="utf-8")
    result = run("weights", "info", tmp_path / "notes.txt")
    assert result.exit_code == 1
    assert "not a readable safetensors file" in result.stderr
