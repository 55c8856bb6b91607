from __future__ import annotations

from pathlib import Path

import pytest

from cli.conftest import Run
from lerenet.support import SqliteStore, VerifyReport
from support.classes import commit


def answer_with(monkeypatch: pytest.MonkeyPatch, report: VerifyReport) -> list[tuple[Path, bool]]:
    """Makes every registry look like `report`; gives what was asked."""
    asked: list[tuple[Path, bool]] = []

    def verify(root: Path, *, rebuild: bool) -> VerifyReport:
        asked.append((root, rebuild))
        return report

    monkeypatch.setattr("lerenet.support.verify_store", verify)
    return asked


def test_verify_accepts_a_whole_registry(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = answer_with(monkeypatch, VerifyReport(2, 3, 8, leftovers=("One file was never finished.",)))
    monkeypatch.setenv("LERENET_DATA_DIR", str(tmp_path))
    result = run("registry", "verify", "--rebuild")
    assert result.exit_code == 0
    assert asked == [(tmp_path, True)]
    assert "2 classes, 3 revisions, 8 files: whole" in result.output
    assert "One file was never finished." in result.output


def test_verify_tells_what_is_lost(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(monkeypatch, VerifyReport(1, 1, 2, problems=("Blob ab is missing.",)))
    result = run("registry", "verify", "there")
    assert result.exit_code == 1
    assert "problem: Blob ab is missing." in result.output


def test_verify_needs_a_registry(run: Run, tmp_path: Path) -> None:
    result = run("registry", "verify", tmp_path / "nowhere")
    assert result.exit_code == 1
    assert "There is no registry at" in result.stderr


def test_classes_go_from_one_folder_to_another(run: Run, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "one")
    made = commit(store, "a", 1)
    store.close()
    archive, other = tmp_path / "classes.tar", tmp_path / "two"

    exported = run("registry", "export", archive, "--data-dir", tmp_path / "one", "--class", "a")
    imported = [run("registry", "import", archive, "--data-dir", other) for _ in range(2)]

    assert (exported.exit_code, [each.exit_code for each in imported]) == (0, [0, 0])
    assert "1 classes in" in exported.output
    assert [each.output.split(":")[0] for each in imported] == ["added", "unchanged"]
    assert f"a@{made.revision}" in imported[0].output
