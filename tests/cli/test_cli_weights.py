from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from builders import tiny_network
from cli.conftest import Run
from folders import write_registry
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


def test_compare_shows_how_masks_of_registered_classes_change(run: Run, tmp_path: Path) -> None:
    write_registry(tmp_path / "data", {"bars": 2, "nick": 1}, n_normals=1)
    paths = [tmp_path / f"{name}.safetensors" for name in "ab"]
    for seed, path in enumerate(paths):
        save_weights(tiny_network(seed), path)
    words = ("--data-dir", tmp_path / "data", "--out", tmp_path / "sheets", "--device", "cpu")
    result = run("weights", "compare", *paths, *words)
    assert result.exit_code == 0
    rows = [line.split() for line in result.output.splitlines() if "bars" in line or "nick*" in line]
    assert [row[:3] for row in rows if row[0] in ("bars", "nick*")] == [["bars", "2", "1"], ["nick*", "1", "1"]]
    assert "segmented from itself, turned by half" in result.output
    assert {path.name for path in (tmp_path / "sheets").iterdir()} == {"bars.png", "nick.png"}


def test_compare_of_equal_weights_changes_nothing(run: Run, shipped: Path, tmp_path: Path) -> None:
    write_registry(tmp_path / "data", {"bars": 2})
    result = run("weights", "compare", shipped, shipped, "--data-dir", tmp_path / "data", "--device", "cpu")
    assert result.exit_code == 0
    assert "0.00%" in result.output


def test_compare_needs_a_registry(run: Run, shipped: Path, tmp_path: Path) -> None:
    result = run("weights", "compare", shipped, shipped, "--data-dir", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "There is no registry at" in result.stderr
