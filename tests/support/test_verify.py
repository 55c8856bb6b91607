from __future__ import annotations

import json
from pathlib import Path

import pytest

from lerenet.errors import RegistryError
from lerenet.support import SqliteStore, SupportClass, verify_store
from support.classes import commit, files_under


def blob_path(root: Path, made: SupportClass) -> Path:
    sha256 = made.shots[0].image_sha256
    return root / "blobs" / sha256[:2] / sha256


def test_report_counts_what_there_is(store: SqliteStore) -> None:
    first = commit(store, "a", 1)
    commit(store, "a", 1, 2, expected=first.revision)
    commit(store, "b", 2)
    report = store.verify()
    assert (report.n_classes, report.n_revisions, report.n_blobs) == (2, 3, 4)
    assert report.is_clean


def test_report_names_the_classes_of_a_damaged_blob(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    blob_path(root, made).write_bytes(b"rot")
    (problem,) = store.verify().problems
    assert f"a@{made.revision}" in problem
    assert "damaged" in problem


def test_report_tells_missing_blobs(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    blob_path(root, made).unlink()
    (problem,) = store.verify().problems
    assert "missing" in problem


def test_report_tells_missing_manifests(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    (root / "revisions" / "a" / f"{made.revision}.json").unlink()
    (problem,) = store.verify().problems
    assert f"a@{made.revision}" in problem


def test_report_tells_a_manifest_with_other_content(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    path = root / "revisions" / "a" / f"{made.revision}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sequence": 99}))
    (problem,) = store.verify().problems
    assert "does not agree" in problem


def test_verifying_changes_nothing(store: SqliteStore, root: Path) -> None:
    commit(store, "a", 1)
    store.close()
    orphan = root / "blobs" / "ab" / ("ab" * 32)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"orphan")
    (root / "unfinished" / "x.tmp").write_bytes(b"half")
    before = files_under(root)
    report = verify_store(root)
    assert len(report.leftovers) == 2
    assert not report.problems
    assert files_under(root) == before


def test_lost_index_is_reported_without_rebuilding(store: SqliteStore, root: Path) -> None:
    commit(store, "a", 1)
    store.close()
    (root / "index.sqlite3").unlink()
    (problem,) = verify_store(root).problems
    assert "--rebuild" in problem
    assert not (root / "index.sqlite3").exists()


@pytest.mark.parametrize("loss", ["missing", "empty", "garbage", "malformed"])
def test_rebuilding_restores_a_lost_index(store: SqliteStore, root: Path, loss: str) -> None:
    first = commit(store, "a", 1)
    second = commit(store, "a", 1, 2, expected=first.revision, text="second")
    third = commit(store, "a", 1, expected=second.revision)
    other = commit(store, "b", 2)
    generation = store.generation()
    store.close()
    index = root / "index.sqlite3"
    if loss == "missing":
        index.unlink()
    else:
        whole = index.read_bytes()
        malformed = whole[:4096] + b"\xff" * (len(whole) - 4096)
        index.write_bytes({"empty": b"", "garbage": b"x" * 9_000, "malformed": malformed}[loss])
    report = verify_store(root, rebuild=True)
    assert report.is_clean
    assert report.is_restored
    again = SqliteStore(root)
    # the first content came back last, so it is current again
    assert again.current("a") == third
    assert again.revisions("a") == [third.revision, second.revision]
    assert again.current("b") == other
    assert again.generation() == generation
    commit(again, "c", 3)
    assert again.verify().is_clean
    again.close()


def test_rebuilding_leaves_a_sound_index_alone(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    (root / "revisions" / "a" / f"{made.revision}.json").unlink()
    store.close()
    report = verify_store(root, rebuild=True)
    assert not report.is_restored
    again = SqliteStore(root)
    assert again.current("a") == made
    assert again.verify().is_clean
    again.close()


def test_rebuilding_passes_over_a_damaged_manifest(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    lost = commit(store, "b", 2)
    store.close()
    (root / "index.sqlite3").unlink()
    (root / "revisions" / "b" / f"{lost.revision}.json").write_text("{")
    report = verify_store(root, rebuild=True)
    assert report.n_classes == 1
    (problem,) = report.problems
    assert f"b@{lost.revision}" in problem
    again = SqliteStore(root)
    assert again.current("a") == made
    # nothing of the class that cannot be restored is thrown away
    kept = files_under(root / "quarantine")
    assert kept >= {f"b@{lost.revision}.json", lost.shots[0].image_sha256, lost.shots[0].mask_sha256}
    again.close()


def test_rebuilding_an_empty_registry_makes_an_empty_index(store: SqliteStore, root: Path) -> None:
    store.close()
    (root / "index.sqlite3").unlink()
    assert verify_store(root, rebuild=True).is_clean


def test_verifying_refuses_a_folder_without_a_registry(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no registry"):
        verify_store(tmp_path)
    assert not any(tmp_path.iterdir())
