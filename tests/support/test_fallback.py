"""An index that is damaged, or a folder that cannot be written to: classes go on being used, writes say why not."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from lerenet.errors import ClassDamaged, RegistryReadOnly
from lerenet.support import SqliteStore, layout, verify_store
from support.classes import LIMITS, CountingNetwork, commit, files_under, open_registry, record, shots


def damage_page(root: Path) -> None:
    """Overwrites all pages but the first, as a failing disk might."""
    index = root / "index.sqlite3"
    whole = index.read_bytes()
    index.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))


@pytest.fixture
def damaged(root: Path) -> Path:
    """A folder with class `a` at its second revision and class `b`, whose index is damaged."""
    store = SqliteStore(root)
    commit(store, "a", 1, 2, expected=commit(store, "a", 1).revision)
    commit(store, "b", 3)
    store.close()
    damage_page(root)
    return root


def test_damaged_index_does_not_keep_classes_from_being_used(damaged: Path) -> None:
    before = files_under(damaged)
    store = SqliteStore(damaged, may_fall_back=True)
    assert store.pointers()[1].keys() == {"a", "b"}
    found = store.current("a")
    assert found is not None
    assert len(found.shots) == 2
    assert all(store.read_blob(sha256) for sha256 in found.blobs)
    assert isinstance(store.trouble, RegistryReadOnly)
    store.close()
    assert files_under(damaged) == before


def test_damaged_index_takes_no_writes_until_it_is_restored(damaged: Path) -> None:
    store = SqliteStore(damaged, may_fall_back=True)
    made, added = record("c", 4)
    for _ in range(2):
        with pytest.raises(RegistryReadOnly, match="verify --rebuild"):
            store.commit(made, added.blobs, expected=None, limits=LIMITS)
    with pytest.raises(RegistryReadOnly):
        store.delete("b", expected=made.revision)
    store.close()
    assert verify_store(damaged, rebuild=True).is_clean
    again = SqliteStore(damaged, may_fall_back=True)
    assert again.commit(made, added.blobs, expected=None, limits=LIMITS)
    assert again.trouble is None
    assert "index.sqlite3" in files_under(damaged / "quarantine")
    again.close()


def test_index_damaged_under_way_is_replaced_by_the_manifests(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    store.close()
    running = SqliteStore(root, may_fall_back=True)
    damage_page(root)
    running._index.close()  # its pages are read from the disk again
    assert running.current("a") == made
    assert running.generation() == 1
    with pytest.raises(RegistryReadOnly):
        running.delete("a", expected=made.revision)
    running.close()


def test_class_with_a_damaged_manifest_is_not_served_at_an_older_revision(damaged: Path) -> None:
    newest = max((damaged / "revisions" / "a").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"{")
    store = SqliteStore(damaged, may_fall_back=True)
    with pytest.raises(ClassDamaged, match="'a'"):
        store.current("a")
    assert store.pointers()[1].keys() == {"b"}
    assert store.doubtful == {"a"}
    store.close()


async def test_nobody_who_asks_for_all_classes_is_left_without_a_doubtful_one(
    damaged: Path, network: CountingNetwork
) -> None:
    newest = max((damaged / "revisions" / "a").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"{")
    registry = open_registry(damaged, network, may_fall_back=True)
    with pytest.raises(ClassDamaged, match=r"damaged: a\."):
        await registry.resolve()
    assert [found.record.name for found in await registry.resolve(["b"])] == ["b"]
    assert await registry.unavailable() == ["a"]
    await registry.close()


def test_nothing_to_fall_back_on_is_an_error(root: Path) -> None:
    store = SqliteStore(root)
    store.close()
    (root / "index.sqlite3").write_bytes(b"not a database, " * 512)
    with pytest.raises(Exception, match="--rebuild"):
        SqliteStore(root, may_fall_back=True)


def test_row_that_was_changed_is_damage_too(store: SqliteStore, root: Path) -> None:
    commit(store, "a", 1)
    with store._index.writing():
        store._index._run("UPDATE revisions SET document = replace(document, '\"bits\": 16', '\"bits\": 12')")
    store.close()
    (problem,) = verify_store(root).problems
    assert "malformed" in problem
    assert verify_store(root, rebuild=True).is_clean


async def test_folder_that_was_read_only_at_the_start_takes_writes_once_it_can(
    root: Path, network: CountingNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = open_registry(root, network)
    await registry.create("a", shots(1))
    await registry.close()

    def refuse(folder: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    made, added = record("b", 2)
    with monkeypatch.context() as patched:
        patched.setattr(layout, "make_folder", refuse)
        patched.setattr("lerenet.support.sqlite.unwritable", lambda root: RegistryReadOnly("a read-only folder"))
        store = SqliteStore(root, may_fall_back=True)
        assert store.current("a") is not None
        assert store.trouble is not None
        with pytest.raises(RegistryReadOnly, match=r"Read-only.*go on being used"):
            store.commit(made, added.blobs, expected=None, limits=LIMITS)
    assert store.commit(made, added.blobs, expected=None, limits=LIMITS)
    assert store.trouble is None
    assert store.verify().is_clean
    store.close()


def test_data_folder_that_is_gone_is_told(store: SqliteStore, root: Path) -> None:
    shutil.rmtree(root)
    assert isinstance(store.trouble, RegistryReadOnly)
