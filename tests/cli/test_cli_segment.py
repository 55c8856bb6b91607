from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from cli.conftest import Run, draw_bar
from client.fake_service import LIMITS, REVISION, FakeService, fields, problem
from lerenet.imaging import decode_image, decode_mask, encode_image_png


@pytest.fixture
def registered(run: Run, bars: Path) -> Path:
    """The images of the class `bars`, which the service knows."""
    run("support", "add", "bars", "--folder", bars)
    return bars / "images"


def report(out: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return document


def test_folder_becomes_masks_overlays_report(run: Run, registered: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("segment", registered, "--out", out)
    assert result.exit_code == 0
    for index in range(3):
        plate, mask = draw_bar(index)
        written = decode_mask((out / f"masks/bars/{index}.png").read_bytes(), LIMITS)
        painted = decode_image((out / f"overlays/{index}.png").read_bytes(), LIMITS)
        assert np.array_equal(written, mask)
        assert np.array_equal((painted != plate[:, :, None]).any(axis=2), mask == 1)
    rows = report(out)["results"]
    assert [(row["file"], row["classes"][0]["area_px"]) for row in rows] == [
        ("0.png", 10),
        ("1.png", 20),
        ("2.png", 30),
    ]
    assert (rows[0]["weights"], rows[0]["classes"][0]["mask"]) == ("ab" * 32, "masks/bars/0.png")
    assert "3 images segmented" in result.stdout


def test_one_file_is_segmented(run: Run, registered: Path, tmp_path: Path) -> None:
    assert run("segment", registered / "1.png").exit_code == 0
    assert [row["file"] for row in report(tmp_path / "lerenet-results")["results"]] == ["1.png"]


def test_options_reach_the_service(run: Run, registered: Path, service: FakeService) -> None:
    words = ("--class", "bars", "--threshold", 0.2, "--min-area", 7, "--12-bit")
    assert run("segment", registered / "0.png", *words).exit_code == 0
    sent = {"classes": f"bars@{REVISION}", "threshold": "0.2", "min_area_px": "7", "bits": "12", "format": "coco_rle"}
    assert fields(service.requests[-1]) == sent


def test_bad_file_is_passed_over(run: Run, registered: Path, tmp_path: Path) -> None:
    (registered / "broken.png").write_bytes((registered / "0.png").read_bytes()[:60])
    result = run("segment", registered, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "broken.png: the image is truncated" in result.stderr
    document = report(tmp_path / "out")
    assert [row["file"] for row in document["results"]] == ["0.png", "1.png", "2.png"]
    assert [row["file"] for row in document["failures"]] == ["broken.png"]


def test_other_files_are_left_alone(run: Run, registered: Path, service: FakeService) -> None:
    for name in ("notes.txt", ".hidden.png"):
        (registered / name).write_bytes(b"")
    assert run("segment", registered).exit_code == 0
    assert [request.url.path for request in service.requests].count("/segment") == 3


def test_names_stay_apart_when_only_the_suffix_differs(run: Run, registered: Path, tmp_path: Path) -> None:
    (registered / "0.bmp").write_bytes((registered / "0.png").read_bytes())
    assert run("segment", registered, "--out", tmp_path / "out").exit_code == 0
    written = sorted(path.name for path in (tmp_path / "out/masks/bars").iterdir())
    assert written == ["0.bmp.png", "0.png.png", "1.png", "2.png"]


def test_unknown_class_ends_the_run(run: Run, registered: Path, service: FakeService, tmp_path: Path) -> None:
    result = run("segment", registered, "--class", "dents", "--jobs", 1, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.endswith("error: there is no class dents (404 unknown_class)\n")
    assert not (tmp_path / "out").exists()


def test_run_that_loses_its_service_keeps_what_it_has(
    run: Run, registered: Path, service: FakeService, tmp_path: Path
) -> None:
    for index in range(20):
        (registered / f"more-{index}.png").write_bytes(encode_image_png(draw_bar(0)[0]))
    answer = service.answer

    def die(request: httpx.Request) -> httpx.Response:
        if [each.url.path for each in service.requests].count("/segment") >= 2:
            raise httpx.ConnectError("connection refused")
        return answer(request)

    service.answer = die  # type: ignore[method-assign]
    result = run("segment", registered, "--jobs", 1, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert [row["file"] for row in report(tmp_path / "out")["results"]] == ["0.png", "1.png"]


def test_failure_of_one_request_is_that_of_one_file(run: Run, registered: Path, service: FakeService) -> None:
    service.segmentations = [problem(500, "internal_error", "something failed")]
    result = run("segment", registered, "--jobs", 1)
    assert result.exit_code == 1
    assert "0.png: something failed (500 internal_error)" in result.stderr
    assert "2 images segmented, 1 failed" in result.stdout


def test_second_start_skips_what_is_done(run: Run, registered: Path, service: FakeService, tmp_path: Path) -> None:
    (registered / "broken.png").write_bytes(b"no image")
    run("segment", registered, "--out", tmp_path / "out")
    service.requests.clear()
    result = run("segment", registered, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "4 of 4 files are done already: skipped" in result.stderr
    assert "3 images segmented, 1 failed" in result.stdout
    assert [request.url.path for request in service.requests] == ["/support"]


def test_other_question_is_refused_until_restart(run: Run, registered: Path, tmp_path: Path) -> None:
    words = ("segment", registered, "--out", tmp_path / "out")
    run(*words)
    refused = run(*words, "--threshold", 0.25)
    assert refused.exit_code == 1
    assert "threshold was not set and is 0.25" in refused.stderr
    assert "restart" in refused.stderr
    assert run(*words, "--threshold", 0.25, "--restart").exit_code == 0
    assert report(tmp_path / "out")["threshold"] == 0.25


def test_metadata_is_sent_kept(run: Run, registered: Path, service: FakeService, tmp_path: Path) -> None:
    words = ("--metadata", "station=press-3", "--metadata", "shift=late=2")
    assert run("segment", registered / "0.png", *words, "--out", tmp_path / "out").exit_code == 0
    sent = fields(service.requests[-1])
    assert (sent["station"], json.loads(sent["metadata"])) == ("press-3", {"shift": "late=2"})
    said = {"station": "press-3", "shift": "late=2"}
    assert report(tmp_path / "out")["metadata"] == report(tmp_path / "out")["results"][0]["metadata"] == said


def test_metadata_without_a_name_is_bad_usage(run: Run, registered: Path) -> None:
    assert run("segment", registered, "--metadata", "press-3").exit_code == 2


def test_service_that_answers_is_used(run: Run, registered: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()  # from which one of our own would be started
    result = run("segment", registered)
    assert result.exit_code == 0
    assert "using the service at http://127.0.0.1:8000" in result.stderr


def test_folder_without_images_is_bad_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("segment", tmp_path / "empty").exit_code == 2
