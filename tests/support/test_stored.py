from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from folders import draw_plate, write_registry
from lerenet.errors import RegistryError
from lerenet.support import SqliteStore, read_stored_classes


def _files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_stored_classes_come_with_their_pixels(tmp_path: Path) -> None:
    write_registry(tmp_path / "data", {"nick": 1, "bars": 3}, n_normals=2)
    bars, nick = read_stored_classes(tmp_path / "data")
    assert [each.record.name for each in (bars, nick)] == ["bars", "nick"]
    assert (len(bars.material.shots), len(bars.material.normals)) == (3, 2)
    assert np.array_equal(nick.material.shots[0].mask, draw_plate(0).mask)


def test_reading_leaves_every_file_as_it_was(tmp_path: Path) -> None:
    write_registry(tmp_path / "data", {"bars": 1})
    before = _files(tmp_path / "data")
    list(read_stored_classes(tmp_path / "data"))
    assert _files(tmp_path / "data") == before


def test_registry_in_use_can_be_read(tmp_path: Path) -> None:
    write_registry(tmp_path / "data", {"bars": 1})
    store = SqliteStore(tmp_path / "data")
    assert len(list(read_stored_classes(tmp_path / "data"))) == 1
    store.close()


def test_folder_without_a_registry_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="There is no registry at"):
        list(read_stored_classes(tmp_path))


def test_lost_index_is_told_with_the_remedy(tmp_path: Path) -> None:
    write_registry(tmp_path / "data", {"bars": 1})
    (tmp_path / "data" / "index.sqlite3").unlink()
    with pytest.raises(RegistryError, match="registry verify --rebuild"):
        list(read_stored_classes(tmp_path / "data"))
