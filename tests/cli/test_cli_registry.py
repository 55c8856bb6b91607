from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.conftest import Run
from lerenet.support import AuditTrail, RegistryChange, SqliteStore, VerifyReport
from lerenet.support.backing import opened
from lerenet.support.layout import Layout
from support.classes import commit


def answer_with(monkeypatch: pytest.MonkeyPatch, report: VerifyReport) -> list[tuple[str, bool]]:
    """Makes every registry look like `report`; gives what was asked."""
    asked: list[tuple[str, bool]] = []

    def verify(place: str, *, rebuild: bool) -> VerifyReport:
        asked.append((place, rebuild))
        return report

    monkeypatch.setattr("lerenet.support.verify_place", verify)
    return asked


def test_verify_accepts_a_whole_registry(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = answer_with(monkeypatch, VerifyReport(2, 3, 8, leftovers=("One file was never finished.",)))
    monkeypatch.setenv("LERENET_DATA_DIR", str(tmp_path))
    result = run("registry", "verify", "--rebuild")
    assert result.exit_code == 0
    assert asked == [(str(tmp_path), True)]
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


def test_audit_prints_who_changed_what(run: Run, tmp_path: Path) -> None:
    trail = AuditTrail(Layout(tmp_path).audit)
    trail.note(RegistryChange("create", "a", None, "0" * 16, who="lere_00000001", request_id="line-3", time="noon"))
    trail.note(RegistryChange("delete", "b", "0" * 16, None, time="one"))

    lines = run("registry", "audit", tmp_path).output.splitlines()
    [as_json] = run("registry", "audit", tmp_path, "--class", "b", "--json").output.splitlines()

    assert lines[0].split() == ["noon", "lere_00000001", "create", "a", "-", "0" * 16, "line-3"]
    assert lines[1].split() == ["one", "anonymous", "delete", "b", "0" * 16, "-", "-"]
    assert json.loads(as_json)["class"] == "b"


def test_audit_of_a_registry_that_nobody_changed_is_empty(run: Run, tmp_path: Path) -> None:
    result = run("registry", "audit", tmp_path)

    assert (result.exit_code, result.output) == (0, "")


def test_commands_take_the_address_of_a_database(run: Run, tmp_path: Path, database_url: str) -> None:
    with opened(tmp_path / "data") as here:
        made = commit(here.store, "a", 1)
    moved = run("registry", "copy", "--from", tmp_path / "data", "--to", database_url)
    verified = run("registry", "verify", database_url)
    exported = run("registry", "export", tmp_path / "classes.tar", "--data-dir", database_url)
    imported = run("registry", "import", tmp_path / "classes.tar", "--data-dir", database_url)
    audited = run("registry", "audit", database_url)
    migrated = run("registry", "migrate", database_url)
    rebuilt = run("registry", "verify", database_url, "--rebuild")

    assert moved.output.splitlines() == [f"added: a@{made.revision}, 1 revisions", "1 classes"]
    assert "1 classes, 1 revisions, 2 files: whole" in verified.output
    assert "1 classes in" in exported.output
    assert imported.output == f"unchanged: a@{made.revision}\n"
    assert "lerenet registry copy" in audited.output
    assert "as before" in migrated.output
    assert (rebuilt.exit_code, "only a data folder" in rebuilt.stderr) == (1, True)
