from __future__ import annotations

import re
from pathlib import Path

from cli.conftest import Run
from client.fake_service import LIMITS
from lerenet.datasets.folder import open_folder
from lerenet.imaging import decode_image, decode_mask

README = Path(__file__).parents[2] / "README.md"


def test_synth_writes_a_sheet(run: Run, tmp_path: Path) -> None:
    result = run("synth", "--episodes", 2, "--size", 64, "--out", tmp_path / "pictures/sheet.png")
    assert result.exit_code == 0
    height, width, _ = decode_image((tmp_path / "pictures/sheet.png").read_bytes(), LIMITS).shape
    assert height // 64 == 2
    assert width // 64 >= 4


def test_synth_writes_a_class_that_evaluate_reads(run: Run, tmp_path: Path) -> None:
    words = ("--episodes", 1, "--size", 64, "--folder", tmp_path / "plates", "--plates", 12)
    result = run("synth", *words)
    assert result.exit_code == 0
    [found] = open_folder(tmp_path / "plates")
    assert len(found.pairs) + len(found.normals) == 12
    assert found.normals
    for pair in found.pairs:
        assert pair.mask_path is not None
        mask = decode_mask(pair.mask_path.read_bytes(), LIMITS)
        assert mask.any()
        assert decode_image(pair.image_path.read_bytes(), LIMITS).shape[:2] == mask.shape


def test_synth_writes_the_plates_that_the_readme_sends(run: Run, tmp_path: Path) -> None:
    named = set(re.findall(r"@(plates/\S+?\.png)", README.read_text(encoding="utf-8")))
    run("synth", "--episodes", 1, "--folder", tmp_path / "plates", "--out", tmp_path / "plates.png")
    assert named
    assert {name for name in named if not (tmp_path / name).is_file()} == set()


def test_synth_is_decided_by_its_seed(run: Run, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("synth", "--episodes", 1, "--size", 64, "--seed", seed, "--out", tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_synth_refuses_a_size_that_plates_cannot_have(run: Run) -> None:
    assert run("synth", "--size", 100).exit_code == 2
