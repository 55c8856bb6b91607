"""A disk that is full, read-only or locked: an error with a remedy, and nothing half-written."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lerenet.errors import RegistryError
from lerenet.support import SqliteStore, index
from lerenet.support.faults import registry_faults
from support.classes import LIMITS, CountingNetwork, commit, files_under, open_registry, record, shots


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """The kernel itself refuses to let any file grow past `n_bytes`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_commit_leaves_nothing_when_a_blob_does_not_fit(store: SqliteStore, root: Path) -> None:
    first = commit(store, "a", 1)
    made, added = record("a", 2, 3)
    before = files_under(root)
    blobs = {**added.blobs, "0" * 64: b"x" * 4_000_000}
    with largest_file(2_000_000), pytest.raises(RegistryError, match="Free disk space"):
        store.commit(made, blobs, expected=first.revision, limits=LIMITS)
    assert files_under(root) == before
    assert store.current("a") == first
    assert store.verify().is_clean


def test_commit_leaves_nothing_when_the_index_is_full(
    store: SqliteStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store, "a", 1)
    store.close()
    connect = sqlite3.connect

    def connect_to_a_full_disk(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[call-overload]
        (n_pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {n_pages}")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect_to_a_full_disk)
    full = SqliteStore(root)
    made, added = record("b", *range(2, 30))
    before = files_under(root)
    with pytest.raises(RegistryError, match=r"full.*Free disk space"):
        full.commit(made, added.blobs, expected=None, limits=LIMITS)
    assert files_under(root) == before
    assert full.verify().is_clean
    full.close()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_commit_leaves_nothing_when_the_disk_turns_read_only(
    store: SqliteStore, root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    commit(store, "a", 1)
    made, added = record("b", 2, 3)
    before = files_under(root)
    real = getattr(os, step)
    n_calls = 0

    def fail_late(*args: object) -> object:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            raise OSError(errno.EROFS, "Read-only file system")
        return real(*args)

    monkeypatch.setattr(os, step, fail_late)
    with pytest.raises(RegistryError, match=r"Read-only.*writable"):
        store.commit(made, added.blobs, expected=None, limits=LIMITS)
    assert files_under(root) == before
    assert store.verify().is_clean


def test_delete_stands_when_files_cannot_be_removed(
    store: SqliteStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = commit(store, "a", 1)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        assert store.delete("a", expected=made.revision)
    assert store.current("a") is None
    assert store.verify().leftovers
    store.close()
    again = SqliteStore(root)
    assert again.verify().is_clean
    assert files_under(root / "blobs") == set()
    again.close()


def test_opening_refuses_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="LERENET_DATA_DIR"):
        SqliteStore(tmp_path / "file" / "data")


def test_opening_refuses_a_file_system_it_cannot_write_to() -> None:
    with pytest.raises(RegistryError, match="LERENET_DATA_DIR"):
        SqliteStore(Path("/proc/lerenet"))


def test_commit_gives_up_when_another_process_holds_the_lock(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BUSY_TIMEOUT_S", 0.05)
    store = SqliteStore(root)
    other = sqlite3.connect(root / "index.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    made, added = record("a", 1)
    with pytest.raises(RegistryError, match=r"locked.*Try again"):
        store.commit(made, added.blobs, expected=None, limits=LIMITS)
    assert store.current("a") is None
    other.execute("ROLLBACK")
    other.close()
    assert store.commit(made, added.blobs, expected=None, limits=LIMITS)
    store.close()


def test_unknown_faults_point_at_the_disk(root: Path) -> None:
    with pytest.raises(RegistryError, match="Check the disk"), registry_faults(root):
        raise OSError(errno.EIO, "Input/output error")


async def test_registration_fails_whole_when_the_disk_is_full(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    await registry.create("a", shots(1))
    before = files_under(root / "blobs") | files_under(root / "revisions")
    with largest_file(300), pytest.raises(RegistryError, match="Free disk space"):
        await registry.create("b", shots(2))
    assert (await registry.list()).classes[-1].record.name == "a"
    assert files_under(root / "blobs") | files_under(root / "revisions") == before
    # with room again the same request goes through, without a second encoding
    assert (await registry.create("b", shots(2))).is_created
    assert network.n_encoded == 2
    await registry.close()
