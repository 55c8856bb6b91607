from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Run
from client.fake_service import FakeService, fields, parts, problem


def test_add_registers_pairs(run: Run, service: FakeService, bars: Path) -> None:
    words = [word for i in (0, 1) for word in ("--image", bars / f"images/{i}.png", "--mask", bars / f"masks/{i}.png")]
    result = run("support", "add", "bars", *words, "--normal", bars / "normal/clean.png", "--threshold", 0.3)
    assert result.exit_code == 0
    assert [shot["area_px"] for shot in service.classes["bars"]["shots"]] == [10, 20]
    assert fields(service.requests[0]) == {"name": "bars", "threshold": "0.3"}
    assert "bars" in result.output
    assert "0.750" in result.output


def test_add_takes_the_first_pairs_of_a_folder(run: Run, service: FakeService, bars: Path) -> None:
    result = run("support", "add", "bars", "--folder", bars, "--shots", 2, "--normals", 1)
    assert result.exit_code == 0
    sent = [(part.field, part.filename) for part in parts(service.requests[0]) if part.filename]
    assert sent == [
        ("images", "0.png"),
        ("images", "1.png"),
        ("masks", "0.png"),
        ("masks", "1.png"),
        ("normals", "clean.png"),
    ]


def test_add_replaces_when_asked(run: Run, service: FakeService, bars: Path) -> None:
    run("support", "add", "bars", "--folder", bars, "--shots", 1)
    refused = run("support", "add", "bars", "--folder", bars, "--shots", 2)
    assert refused.exit_code == 1
    assert refused.stderr == "error: bars is taken by other content (409 class_exists)\n"
    assert run("support", "add", "bars", "--folder", bars, "--shots", 2, "--replace").exit_code == 0
    assert len(service.classes["bars"]["shots"]) == 2


@pytest.mark.parametrize("words", [(), ("--image", "bars/images/0.png")])
def test_add_without_whole_pairs_is_bad_usage(run: Run, bars: Path, words: tuple[str, ...]) -> None:
    assert run("support", "add", "bars", *words).exit_code == 2


def test_add_of_a_folder_of_several_classes_names_them(run: Run, bars: Path) -> None:
    bars.rename(bars.with_name("pack"))
    other = bars.with_name("pack") / "dents"
    for name in ("images", "masks"):
        (other / name).mkdir(parents=True)
        (other / name / "0.png").write_bytes(b"")
    result = run("support", "add", "bars", "--folder", "pack")
    assert result.exit_code == 2
    assert "dents" in result.stderr


def test_list_shows_every_class(run: Run, bars: Path) -> None:
    for name in ("bars", "dents"):
        run("support", "add", name, "--folder", bars)
    result = run("support", "list")
    assert result.exit_code == 0
    assert "bars" in result.output
    assert "dents" in result.output


def test_show_lists_the_shots(run: Run, bars: Path) -> None:
    run("support", "add", "bars", "--folder", bars)
    result = run("support", "show", "bars")
    assert "9f2d04c1a7be3358" in result.output
    assert result.output.count("20 x 30") == 3


def test_delete_asks_first(run: Run, service: FakeService, bars: Path) -> None:
    run("support", "add", "bars", "--folder", bars)
    assert run("support", "delete", "bars", answer="n\n").exit_code == 1
    assert "bars" in service.classes
    assert run("support", "delete", "bars", answer="y\n").exit_code == 0
    assert service.classes == {}


def test_delete_of_an_unknown_class_says_so(run: Run) -> None:
    result = run("support", "delete", "bars", "--yes")
    assert result.exit_code == 1
    assert result.stderr == "error: there is no class bars (404 unknown_class)\n"


def test_key_comes_from_the_environment(run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LERENET_API_KEY", "lere_1")
    monkeypatch.setenv("LERENET_URL", "http://plant.example:9000")
    service.answers = [problem(403, "forbidden", "the key may not list")]
    assert run("support", "list").exit_code == 1
    assert service.requests[0].headers["authorization"] == "Bearer lere_1"
    assert str(service.requests[0].url) == "http://plant.example:9000/support"
