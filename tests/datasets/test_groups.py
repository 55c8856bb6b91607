from __future__ import annotations

from pathlib import Path

import pytest

from lerenet.datasets.groups import read_groups
from lerenet.errors import DatasetError


def test_no_index_means_no_groups(tmp_path: Path) -> None:
    assert read_groups(tmp_path) is None


def test_group_is_found_by_class_and_id(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("id,cls,group\na,pits,g1\na,cracks,g2\n", encoding="utf-8")
    groups = read_groups(tmp_path)
    assert groups is not None
    assert (groups.of("pits", "a"), groups.of("cracks", "a")) == ("g1", "g2")


def test_byte_order_mark_of_a_spreadsheet_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes(b"\xef\xbb\xbfid,group\na,g1\n")
    groups = read_groups(tmp_path)
    assert groups is not None
    assert groups.of("pits", "a") == "g1"


@pytest.mark.parametrize("rows", ["b,pits,g1", "a,cracks,g1", "a,pits,"])
def test_image_without_a_group_is_refused(tmp_path: Path, rows: str) -> None:
    (tmp_path / "index.csv").write_text(f"id,cls,group\n{rows}\n", encoding="utf-8")
    groups = read_groups(tmp_path)
    assert groups is not None
    with pytest.raises(DatasetError, match=r"index.csv has no group for image 'a' of class 'pits'; add a row"):
        groups.of("pits", "a")


@pytest.mark.parametrize("content", [b"", b"id,view\na,g1\n", b"id;group\na;g1\n"])
def test_index_without_the_columns_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "index.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=r"index.csv lacks the columns id and group"):
        read_groups(tmp_path)


def test_index_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_bytes(b"id,group\nfl\xe4che,g1\n")
    with pytest.raises(DatasetError, match="is no UTF-8 CSV file"):
        read_groups(tmp_path)
