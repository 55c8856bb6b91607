from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pycocotools.coco import COCO

from client.fake_service import LIMITS, FakeService, problem
from jobs.folders_of_frames import connected, do, draw, dying_after, sent, service_with, totals, write_frames
from lerenet.client import ServiceProblem
from lerenet.errors import ConfigurationError, NoSupportClasses, ServiceError
from lerenet.imaging import decode_mask
from lerenet.jobs import Asked, FolderJob, find_images

# pycocotools has not yet followed numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

N_FRAMES, BROKEN = 200, (17, 99, 180)

KILLED = """
import os, sys
from pathlib import Path
from jobs.folders_of_frames import do, sent, service_with

service = service_with("bars")
answer = service.answer

def answer_or_end(request):
    if request.url.path == "/segment" and sent(service) == 100:
        os._exit(9)  # like a kill: nothing is closed or flushed
    return answer(request)

service.answer = answer_or_end
do(service, Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def service() -> FakeService:
    return service_with("bars")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Five frames; the first is defect-free."""
    write_frames(tmp_path / "frames", 5)
    return tmp_path / "frames"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Two hundred frames, three of them broken."""
    write_frames(tmp_path / "many", N_FRAMES, BROKEN)
    return tmp_path / "many"


def document(out: Path, name: str = "results.json") -> Any:
    return json.loads((out / name).read_text(encoding="utf-8"))


def assert_complete(out: Path) -> None:
    """Everything that 200 frames with three broken ones leave behind, each once."""
    good = [index for index in range(N_FRAMES) if index not in BROKEN]
    results = document(out)
    assert [row["file"] for row in results["results"]] == [f"{index:03}.png" for index in good]
    assert [row["file"] for row in results["failures"]] == [f"{index:03}.png" for index in BROKEN]
    assert [row["classes"][0]["area_px"] for row in results["results"]] == [index % 8 for index in good]
    assert len(document(out, "coco.json")["images"]) == len(good)
    for folder in ("masks/bars", "overlays", "thumbnails"):
        assert len(list((out / folder).iterdir())) == len(good)
    lines = [json.loads(line) for line in (out / "record.jsonl").read_text().splitlines()]
    recorded = [line["file"] for line in lines[1:]]
    assert len(recorded) == len(set(recorded)) == N_FRAMES
    assert (out / "report.html").read_text(encoding="utf-8").count("<figure>") == len(good)


def test_job_that_is_stopped_half_way_does_nothing_twice(service: FakeService, many: Path, out: Path) -> None:
    dying_after(service, 100)
    with pytest.raises(ServiceError, match="cannot be reached"):
        do(service, many, out)
    n_before = len(document(out)["results"]) + len(document(out)["failures"])
    again = service_with("bars")
    assert len(do(again, many, out)) == sent(again) == N_FRAMES - n_before
    assert n_before >= 98
    assert_complete(out)
    assert do(again, many, out) == []


def test_job_that_is_killed_half_way_does_nothing_twice(service: FakeService, many: Path, out: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, many, out], env=_environment(), check=False)
    assert ended.returncode == 9
    assert not (out / "results.json").exists()
    n_before = len((out / "record.jsonl").read_text().splitlines()) - 1
    do(service, many, out)
    assert n_before >= 98
    assert sent(service) == N_FRAMES - n_before
    assert_complete(out)


def test_line_that_a_kill_cut_off_is_done_again(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    record = out / "record.jsonl"
    record.write_bytes(record.read_bytes()[:-9])
    assert len(do(service, frames, out)) == 1
    assert len(document(out)["results"]) == 5
    assert do(service, frames, out) == []


def test_damaged_record_is_refused(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    record = out / "record.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join([*lines[:2], b"{}\n", *lines[2:]]))
    with pytest.raises(ConfigurationError, match="line 3, cannot be read: choose another"):
        do(service, frames, out)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"threshold": 0.4}, "threshold was not set and is 0.4"),
        ({"min_area_px": 9}, "min_area_px was not set and is 9"),
        ({"bits": 12}, "bits was 16 and is 12"),
    ],
)
def test_other_question_is_refused(
    service: FakeService, frames: Path, out: Path, asked: dict[str, Any], words: str
) -> None:
    do(service, frames, out)
    with pytest.raises(ConfigurationError, match=words):
        do(service, frames, out, **asked)
    assert do(service, frames, out, classes=["bars"]) == []


def test_class_at_another_revision_is_another_question(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    service.classes["bars"]["revision"] = "0" * 16
    with pytest.raises(ConfigurationError, match="references was bars@9f2d04c1a7be3358 and is bars@0000000000000000"):
        do(service, frames, out)


def test_restart_does_all_again(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    assert len(do(service, frames, out, restart=True, threshold=0.4)) == 5


def test_other_weights_end_the_job(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    (out / "masks/bars/001.png").unlink()
    answer = service.answer

    def with_other_weights(request: httpx.Request) -> httpx.Response:
        response = answer(request)
        return httpx.Response(response.status_code, text=response.text.replace("ab" * 32, "cd" * 32))

    service.answer = with_other_weights  # type: ignore[method-assign]
    with pytest.raises(ConfigurationError, match="the weights cdcdcdcdcdcd, files before it with abababababab"):
        do(service, frames, out)


def test_changed_file_is_done_again(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    (frames / "001.png").write_bytes((frames / "004.png").read_bytes())
    assert [outcome.file for outcome in do(service, frames, out)] == ["001.png"]
    assert [row["classes"][0]["area_px"] for row in document(out)["results"]] == [0, 4, 2, 3, 4]


def test_lost_output_is_made_again(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    (out / "masks/bars/002.png").unlink()
    assert [outcome.file for outcome in do(service, frames, out)] == ["002.png"]
    assert (out / "masks/bars/002.png").is_file()


def test_passing_failure_is_tried_again(service: FakeService, frames: Path, out: Path) -> None:
    service.segmentations = [problem(500, "internal_error", "something failed")]
    outcomes = do(service, frames, out)
    assert [outcome.error for outcome in outcomes if outcome.error] == ["something failed (500 internal_error)"]
    assert [outcome.error for outcome in do(service, frames, out)] == [None]
    assert document(out)["failures"] == []


def test_second_job_in_a_folder_is_kept_out(service: FakeService, frames: Path, out: Path) -> None:
    with (
        connected(service) as client,
        FolderJob(client, find_images(frames), out, Asked.of(client)),
        pytest.raises(ConfigurationError, match="another job works in"),
    ):
        do(service, frames, out)


def test_refusal_of_all_files_ends_the_job(service: FakeService, frames: Path, out: Path) -> None:
    service.segmentations = [problem(401, "unauthorized", "send a key")]
    with pytest.raises(ServiceProblem, match="send a key"):
        do(service, frames, out)


def test_service_without_classes_is_told(frames: Path, out: Path) -> None:
    with pytest.raises(NoSupportClasses, match="register one"):
        do(FakeService(), frames, out)


def test_nothing_unfinished_is_left(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    assert list(out.rglob("*.part")) == []


def test_coco_tools_read_the_masks(service: FakeService, frames: Path, out: Path) -> None:
    service.classes["specks"] = dict(service.classes["bars"], name="specks")
    do(service, frames, out)
    coco = COCO(out / "coco.json")
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == ["bars", "specks"]
    assert len(coco.imgs) == 5
    annotations = coco.loadAnns(coco.getAnnIds(catIds=[1]))
    assert [coco.imgs[each["image_id"]]["file_name"] for each in annotations] == [f"00{i}.png" for i in range(1, 5)]
    for index, each in enumerate(annotations, start=1):
        written = decode_mask((out / f"masks/bars/00{index}.png").read_bytes(), LIMITS)
        assert np.array_equal(coco.annToMask(each), written)
        assert np.array_equal(written, draw(index)[1])
        assert (each["area"], each["bbox"], each["score"]) == (index, [2, 4, index, 1], 0.9)
    assert len(coco.loadRes(document(out, "coco.json")["annotations"]).anns) == 8


def test_totals_count_frames_with_something_marked(service: FakeService, frames: Path, out: Path) -> None:
    do(service, frames, out)
    found = totals(service, frames, out)
    assert (found.n_segmented, found.n_failed, found.n_to_do) == (5, 0, 0)
    [bars] = found.classes
    assert (bars.label, bars.n_images, bars.n_regions, bars.area_px, bars.best_score) == ("bars", 4, 4, 10, 0.9)


def test_outputs_of_files_that_come_later_take_nobody_elses_place(
    service: FakeService, frames: Path, out: Path
) -> None:
    do(service, frames, out)
    (frames / "001.bmp").write_bytes((frames / "004.png").read_bytes())
    (frames / "001.bmp.png").write_bytes((frames / "003.png").read_bytes())
    do(service, frames, out)
    rows = document(out)["results"]
    assert len({row["overlay"] for row in rows}) == 7
    assert {row["file"]: row["classes"][0]["mask"] for row in rows if row["file"].startswith("001")} == {
        "001.bmp": "masks/bars/001.bmp.png",
        "001.bmp.png": "masks/bars/001.bmp.png.png",
        "001.png": "masks/bars/001.png",
    }


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
