from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from lerenet.errors import RegistryError
from lerenet.support import AssessmentRecord, SqliteStore
from support.classes import LIMITS, commit, files_under, record


def blob_path(root: Path, sha256: str) -> Path:
    return root / "blobs" / sha256[:2] / sha256


def manifest_path(root: Path, name: str, revision: str) -> Path:
    return root / "revisions" / name / f"{revision}.json"


def test_opening_sweeps_what_a_crash_left(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    store.close()
    orphan = blob_path(root, "ab" * 32)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"orphan")
    (root / "unfinished" / "x.tmp").write_bytes(b"half")
    stray = manifest_path(root, "b", made.revision)
    stray.parent.mkdir()
    shutil.copy(manifest_path(root, "a", made.revision), stray)
    again = SqliteStore(root)
    assert not orphan.exists()
    assert not stray.parent.exists()
    assert again.verify().is_clean
    assert again.current("a") == made
    again.close()


def test_opening_drops_assessments_of_classes_that_never_came(store: SqliteStore, root: Path) -> None:
    store.save_assessment("f" * 64, "w1", AssessmentRecord(1.0, 0.5, None))
    store.close()
    again = SqliteStore(root)
    assert again.assessments(["f" * 64], "w1") == {}
    again.close()


def test_opening_leaves_files_alone_that_are_not_its_own(store: SqliteStore, root: Path) -> None:
    store.close()
    foreign = [root / "blobs" / "README", root / "revisions" / ".keep", root / "notes.txt"]
    for path in foreign:
        path.write_text("mine")
    SqliteStore(root).close()
    assert all(path.exists() for path in foreign)


@pytest.mark.parametrize("damage", ["missing", "truncated", "older"])
def test_opening_mends_a_manifest_from_the_index(store: SqliteStore, root: Path, damage: str) -> None:
    first = commit(store, "a", 1)
    commit(store, "a", 2, expected=first.revision)
    store.close()
    path = manifest_path(root, "a", first.revision)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(whole[:100])
    else:
        path.write_text(json.dumps({**json.loads(whole), "sequence": 0}))
    again = SqliteStore(root)
    assert path.read_bytes() == whole
    again.close()


def test_opening_refuses_a_folder_whose_index_is_gone(store: SqliteStore, root: Path) -> None:
    commit(store, "a", 1)
    store.close()
    before = files_under(root / "blobs") | files_under(root / "revisions")
    (root / "index.sqlite3").unlink()
    for _ in range(2):
        # the second time an empty index lies there, left by the first
        with pytest.raises(RegistryError, match=r"is missing.*verify --rebuild"):
            SqliteStore(root)
    assert files_under(root / "blobs") | files_under(root / "revisions") == before


def test_opening_refuses_an_index_older_than_the_manifests(store: SqliteStore, root: Path) -> None:
    first = commit(store, "a", 1)
    store.close()
    backup = root / "backup"
    shutil.copy(root / "index.sqlite3", backup)
    again = SqliteStore(root)
    second = commit(again, "a", 2, expected=first.revision)
    commit(again, "b", 3)
    again.close()
    backup.replace(root / "index.sqlite3")
    with pytest.raises(RegistryError, match="older than the manifests"):
        SqliteStore(root)
    assert manifest_path(root, "a", second.revision).exists()


def test_opening_refuses_an_index_that_is_no_database(store: SqliteStore, root: Path) -> None:
    commit(store, "a", 1)
    store.close()
    (root / "index.sqlite3").write_bytes(b"not a database, " * 512)
    with pytest.raises(RegistryError, match="verify --rebuild"):
        SqliteStore(root)


def test_opening_makes_room_for_assessments_that_an_older_version_kept_otherwise(
    store: SqliteStore, root: Path
) -> None:
    made = commit(store, "a", 1)
    store.close()
    with sqlite3.connect(root / "index.sqlite3") as connection:
        connection.execute("DROP TABLE assessments")
        connection.execute(
            """CREATE TABLE assessments (support_digest TEXT, weights_digest TEXT, scale REAL, threshold REAL,
               loo_iou REAL, PRIMARY KEY (support_digest, weights_digest)) WITHOUT ROWID"""
        )
        connection.execute("INSERT INTO assessments VALUES (?, 'w1', 1.0, 0.5, NULL)", (made.support_digest,))
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    again = SqliteStore(root)
    assert again.current("a") == made
    assert again.assessments([made.support_digest], "w1") == {}
    kept = AssessmentRecord(1.0, 0.5, None, 0.25)
    again.save_assessment(made.support_digest, "w1", kept)
    assert again.assessments([made.support_digest], "w1") == {made.support_digest: kept}
    again.close()


def test_opening_refuses_an_index_of_a_newer_version(store: SqliteStore, root: Path) -> None:
    store.close()
    with sqlite3.connect(root / "index.sqlite3") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(RegistryError, match=r"newer version.*Upgrade"):
        SqliteStore(root)


def test_commit_mends_a_damaged_blob(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    blob_path(root, made.shots[0].image_sha256).write_bytes(b"rot")
    assert not store.verify().is_clean
    other, added = record("b", 1)
    store.commit(other, added.blobs, expected=None, limits=LIMITS)
    assert store.verify().is_clean
