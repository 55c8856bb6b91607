"""Classes out of one data folder and into another: the same revisions, every hash checked, conflicts named."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from lerenet.errors import ClassExists, RegistryError, UnknownClass
from lerenet.support import Limits, SqliteStore, export_classes, import_classes, read_trail
from support.classes import commit, files_under


@pytest.fixture
def archive(store: SqliteStore, root: Path, tmp_path: Path) -> Path:
    """An archive of class `a` with two shots and class `b` with one that it shares."""
    commit(store, "a", 1, 2, text="scratches")
    commit(store, "b", 2)
    path = tmp_path / "classes.tar"
    assert export_classes(root, path) == 2
    return path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return tmp_path / "other"


def outcomes(root: Path, archive: Path, **options: object) -> list[str]:
    return [f"{each.outcome} {each.name}" for each in import_classes(root, archive, **options)]  # type: ignore[arg-type]


def changed(archive: Path, name_part: str, content: bytes | None) -> Path:
    """The archive with one file replaced, or left out."""
    path = archive.with_name("changed.tar")
    with tarfile.open(archive) as source, tarfile.open(path, "w") as target:
        for member in source.getmembers():
            data = source.extractfile(member).read()  # type: ignore[union-attr]
            if name_part in member.name:
                if content is None:
                    continue
                data = content
            member.size = len(data)
            target.addfile(member, BytesIO(data))
    return path


def test_imported_classes_are_the_exported_ones(store: SqliteStore, archive: Path, other: Path) -> None:
    assert outcomes(other, archive) == ["added a", "added b"]
    copy = SqliteStore(other)
    assert [copy.current(name) for name in "ab"] == [store.current(name) for name in "ab"]
    assert copy.verify().is_clean
    copy.close()


def test_imported_classes_stand_in_the_trail(archive: Path, other: Path) -> None:
    for _ in range(2):
        imported = import_classes(other, archive)
    trail = [
        (change["who"], change["what"], change["class"], change["after"]) for change in read_trail(other / "audit")
    ]
    assert trail == [("lerenet registry import", "import", each.name, each.revision) for each in imported]


def test_importing_again_changes_nothing(archive: Path, other: Path) -> None:
    import_classes(other, archive)
    before = files_under(other)
    assert outcomes(other, archive) == ["unchanged a", "unchanged b"]
    assert files_under(other) == before


def test_equal_classes_make_equal_archives(store: SqliteStore, archive: Path, root: Path, tmp_path: Path) -> None:
    export_classes(root, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()


def test_one_class_is_exported_by_name(store: SqliteStore, root: Path, other: Path, tmp_path: Path) -> None:
    commit(store, "a", 1)
    commit(store, "b", 2)
    assert export_classes(root, tmp_path / "b.tar", ["b"]) == 1
    assert outcomes(other, tmp_path / "b.tar") == ["added b"]
    with pytest.raises(UnknownClass):
        export_classes(root, tmp_path / "c.tar", ["c"])
    assert not (tmp_path / "c.tar").exists()


def test_taken_name_is_refused_with_nothing_imported(archive: Path, other: Path) -> None:
    own = SqliteStore(other)
    made = commit(own, "b", 7)
    with pytest.raises(ClassExists, match=made.revision):
        import_classes(other, archive)
    assert (own.count(), own.current("b")) == (1, made)
    own.close()


def test_taken_name_is_numbered_once(archive: Path, other: Path) -> None:
    own = SqliteStore(other)
    made = commit(own, "b", 7)
    assert outcomes(other, archive, on_conflict="rename") == ["added a", "renamed b-2"]
    assert outcomes(other, archive, on_conflict="rename") == ["unchanged a", "unchanged b-2"]
    assert own.current("b") == made
    own.close()


def test_taken_name_is_replaced_with_its_revisions_kept(archive: Path, other: Path) -> None:
    own = SqliteStore(other)
    made = commit(own, "b", 7)
    assert outcomes(other, archive, on_conflict="replace") == ["added a", "replaced b"]
    assert made.revision in own.revisions("b")
    own.close()


@pytest.mark.parametrize("content", [b"rot", None])
@pytest.mark.parametrize("part", ["blobs/", "revisions/a/"])
def test_damaged_archive_is_refused_with_nothing_imported(
    archive: Path, other: Path, part: str, content: bytes | None
) -> None:
    damaged = changed(archive, part, content)
    if (part, content) == ("revisions/a/", None):
        assert outcomes(other, damaged) == ["added b"]  # a whole archive, of one class
        return
    with pytest.raises(RegistryError):
        import_classes(other, damaged)
    assert not other.exists()


def test_manifest_under_another_name_is_refused(archive: Path, other: Path) -> None:
    with tarfile.open(archive) as tar:
        manifest = next(m for m in tar.getmembers() if m.name.startswith("revisions/b/"))
        data = tar.extractfile(manifest).read()  # type: ignore[union-attr]
    with pytest.raises(RegistryError, match="another class"):
        import_classes(other, changed(archive, "revisions/a/", data))


def test_file_that_is_no_archive_is_refused(other: Path, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"x" * 2_000)
    with pytest.raises(RegistryError, match="no readable archive"):
        import_classes(other, tmp_path / "x.tar")


def test_import_keeps_to_the_limits(archive: Path, other: Path) -> None:
    with pytest.raises(Exception, match="limit is 1"):
        import_classes(other, archive, limits=Limits(max_shots=1))


def test_importing_mends_a_lost_file(store: SqliteStore, archive: Path, root: Path) -> None:
    found = store.current("b")
    assert found is not None
    sha256 = found.shots[0].image_sha256
    (root / "blobs" / sha256[:2] / sha256).unlink()
    assert outcomes(root, archive) == ["unchanged a", "unchanged b"]
    assert store.verify().is_clean
