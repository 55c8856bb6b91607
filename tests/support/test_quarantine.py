"""A stored file that is not what its name promises: put aside, told, and mended by sending it again."""

from __future__ import annotations

from pathlib import Path

import pytest

from lerenet.errors import ClassDamaged, RegistryError
from lerenet.support import SqliteStore, SupportClass
from lerenet.support.damaged import DamagedClasses
from support.classes import CountingNetwork, commit, files_under, open_registry, record, shots


def blob_path(root: Path, made: SupportClass) -> Path:
    sha256 = made.shots[0].image_sha256
    return root / "blobs" / sha256[:2] / sha256


def test_damaged_file_is_put_aside_and_kept(store: SqliteStore, root: Path) -> None:
    made = commit(store, "a", 1)
    path = blob_path(root, made)
    for n_found in (1, 2):
        path.write_bytes(b"rot")
        with pytest.raises(RegistryError, match="is damaged"):
            store.read_blob(path.name)
        assert not path.exists()
        assert len(files_under(root / "quarantine")) == n_found


def test_reading_that_goes_wrong_once_costs_nothing(
    store: SqliteStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = commit(store, "a", 1)
    path, reads = blob_path(root, made), [b"rot"]
    whole = path.read_bytes()
    monkeypatch.setattr(Path, "read_bytes", lambda self: reads.pop() if reads else whole)
    assert store.read_blob(path.name) == whole
    assert not (root / "quarantine").exists()


async def test_damaged_class_leaves_the_others(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    made = (await registry.create("a", shots(1))).registered.record
    await registry.create("b", shots(2))
    await registry.close()
    blob_path(root, made).write_bytes(b"rot")
    registry = open_registry(root, network, weights="w2")
    assert await registry.unavailable() == []
    with pytest.raises(ClassDamaged, match=r"'a'.*where those are named"):
        await registry.resolve()
    assert await registry.unavailable() == ["a"]
    with pytest.raises(ClassDamaged, match=r"'a'.*Register the same images again"):
        await registry.resolve(["a"])
    assert [found.record.name for found in await registry.resolve(["b"])] == ["b"]
    await registry.delete("a")
    assert [found.record.name for found in await registry.resolve()] == ["b"]
    await registry.close()


async def test_sending_a_damaged_class_again_mends_it(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    made = (await registry.create("a", shots(1))).registered.record
    await registry.close()
    blob_path(root, made).write_bytes(b"rot")
    registry = open_registry(root, network, weights="w2")
    with pytest.raises(ClassDamaged):
        await registry.resolve()
    assert not (await registry.create("a", shots(1))).is_changed
    assert [found.record for found in await registry.resolve()] == [made]
    assert await registry.unavailable() == []
    await registry.close()


def test_damaged_class_is_looked_at_again_after_a_while() -> None:
    now = 5.0
    damaged = DamagedClasses(lambda: now)
    made, _ = record("a", 1)
    damaged.note(made)
    with pytest.raises(ClassDamaged):
        damaged.check(made)
    now += 60
    damaged.check(made)
    assert damaged.among({"a": made}) == ["a"]
