from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from client.fake_service import FakeService
from jobs.folders_of_frames import do, dying_after, service_with, write_frames
from lerenet.errors import ServiceError
from lerenet.jobs import report

EVIL = '"><script>alert(1)</script>&.png'


class Page(HTMLParser):
    """What a page refers to, its elements, and the file names of its frames in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.elements: list[str] = []
        self.names: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words += data
        if self.elements[-1:] == ["strong"] and data.strip():
            self.names.append(data)


@pytest.fixture
def service() -> FakeService:
    return service_with("bars")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    write_frames(tmp_path / "frames", 5, broken=[2])
    return tmp_path / "frames"


def page(out: Path) -> Page:
    return Page((out / "report.html").read_text(encoding="utf-8"))


def test_frames_stand_by_marked_area(service: FakeService, frames: Path, tmp_path: Path) -> None:
    do(service, frames, tmp_path / "out")
    assert page(tmp_path / "out").names == ["004.png", "003.png", "001.png", "000.png"]


def test_everything_it_shows_lies_beside_it(service: FakeService, frames: Path, tmp_path: Path) -> None:
    do(service, frames, tmp_path / "out")
    found = page(tmp_path / "out")
    assert len(found.addresses) == 8
    assert [address for address in found.addresses if not (tmp_path / "out" / address).is_file()] == []
    assert re.search(r"url\(|@import|https?:", (tmp_path / "out/report.html").read_text(encoding="utf-8")) is None


def test_failures_are_listed(service: FakeService, frames: Path, tmp_path: Path) -> None:
    do(service, frames, tmp_path / "out")
    words = page(tmp_path / "out").words
    assert "1 file passed over" in words
    assert "002.png" in words
    assert "truncated" in words


def test_areas_come_with_scores(service: FakeService, frames: Path, tmp_path: Path) -> None:
    do(service, frames, tmp_path / "out")
    assert "bars: 4 px (2.08%), score 0.90" in page(tmp_path / "out").words


def test_names_of_files_are_only_text(service: FakeService, tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    write_frames(folder, 2)
    try:
        (folder / "001.png").rename(folder / EVIL.replace("/", "_"))
    except OSError:
        pytest.skip("this file system takes no such names")
    do(service, folder, tmp_path / "out")
    found = page(tmp_path / "out")
    assert "script" not in found.elements
    assert EVIL.replace("/", "_") in found.names


def test_unfinished_job_says_so(service: FakeService, frames: Path, tmp_path: Path) -> None:
    dying_after(service, 1)
    with pytest.raises(ServiceError):
        do(service, frames, tmp_path / "out")
    assert "Not complete" in page(tmp_path / "out").words


def test_long_page_names_what_it_leaves_out(
    service: FakeService, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_FRAMES", 2)
    do(service, frames, tmp_path / "out")
    found = page(tmp_path / "out")
    assert found.names == ["004.png", "003.png"]
    assert "2 more, with less marked or nothing, are in results.json" in found.words
