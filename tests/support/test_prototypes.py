from __future__ import annotations

import os
from pathlib import Path

import pytest

from lerenet.support import PrototypeCache
from support.classes import Encoded, dump, prototype_cache

ENCODED = Encoded(0.5, 2, 1, 1_234)
KEY = "a" * 64
SIZE = len(dump(ENCODED))


def cache_file(root: Path, key: str = KEY, weights: str = "w1") -> Path:
    return root / "prototypes" / weights / f"{key}.prototypes"


def test_cache_misses_what_nobody_put(root: Path) -> None:
    cache = prototype_cache(root)
    assert cache.held(KEY) is None
    assert cache.get(KEY) is None
    assert cache.counts.misses == 1


def test_cache_holds_the_very_object_it_was_given(root: Path) -> None:
    cache = prototype_cache(root)
    cache.put(KEY, ENCODED)
    assert cache.held(KEY) is ENCODED
    assert cache.get(KEY) is ENCODED


def test_cache_reads_the_disk_after_a_restart(root: Path) -> None:
    prototype_cache(root).put(KEY, ENCODED)
    cache = prototype_cache(root)
    assert cache.held(KEY) is None
    assert cache.get(KEY) == ENCODED
    assert cache.held(KEY) == ENCODED


def test_cache_is_empty_for_other_weights(root: Path) -> None:
    prototype_cache(root).put(KEY, ENCODED)
    assert prototype_cache(root, "w2").get(KEY) is None


def test_cache_finds_its_prototypes_again_when_weights_are_rolled_back(root: Path) -> None:
    prototype_cache(root).put(KEY, ENCODED)
    prototype_cache(root, "w2").put(KEY, ENCODED)
    assert prototype_cache(root).get(KEY) == ENCODED


def test_cache_drops_the_folders_of_weights_long_gone(root: Path) -> None:
    for age, weights in enumerate(["w1", "w2", "w3"]):
        prototype_cache(root, weights).put(KEY, ENCODED)
        os.utime(cache_file(root, weights=weights).parent, (1_000 + age, 1_000 + age))
    prototype_cache(root, "w4")
    assert {folder.name for folder in (root / "prototypes").iterdir()} == {"w3", "w4"}


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty", "foreign"])
def test_cache_removes_a_damaged_file(root: Path, damage: str) -> None:
    prototype_cache(root).put(KEY, ENCODED)
    path = cache_file(root)
    whole = path.read_bytes()
    path.write_bytes(
        {
            "flipped": whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:],
            "truncated": whole[:-1],
            "empty": b"",
            "foreign": b"not prototypes at all, though longer than a digest",
        }[damage]
    )
    assert prototype_cache(root).get(KEY) is None
    assert not path.exists()


def test_cache_removes_a_file_of_another_format(root: Path) -> None:
    def load_newer(data: bytes) -> Encoded:
        raise ValueError("format 2")

    prototype_cache(root).put(KEY, ENCODED)
    cache = PrototypeCache(root / "prototypes", "w1", dump=dump, load=load_newer, budget_bytes=1_000)
    assert cache.get(KEY) is None
    assert not cache_file(root).exists()


def test_cache_evicts_the_least_recently_used(root: Path) -> None:
    cache = prototype_cache(root, budget_bytes=2 * SIZE)
    cache.put("a" * 64, ENCODED)
    cache.put("b" * 64, ENCODED)
    assert cache.held("a" * 64)
    cache.put("c" * 64, ENCODED)
    assert cache.held("b" * 64) is None
    assert cache.held("a" * 64)
    assert cache.counts.evictions == 1
    assert cache.counts.held_bytes == 2 * SIZE
    assert cache.get("b" * 64) == ENCODED


def test_cache_counts_a_replaced_entry_once(root: Path) -> None:
    cache = prototype_cache(root)
    cache.put(KEY, ENCODED)
    cache.put(KEY, ENCODED)
    assert cache.counts.n_held == 1
    assert cache.counts.held_bytes == SIZE


def test_cache_keeps_the_last_entry_when_it_exceeds_the_budget(root: Path) -> None:
    cache = prototype_cache(root, budget_bytes=1)
    cache.put(KEY, ENCODED)
    assert cache.held(KEY) is ENCODED


def test_cache_retains_only_what_is_named(root: Path) -> None:
    cache = prototype_cache(root)
    for letter in "abc":
        cache.put(letter * 64, ENCODED)
    cache.retain({"b" * 64})
    assert [cache.get(letter * 64) for letter in "abc"] == [None, ENCODED, None]
    assert cache.counts.held_bytes == SIZE


def test_cache_clears_unfinished_files(root: Path) -> None:
    prototype_cache(root).put(KEY, ENCODED)
    unfinished = cache_file(root).parent / "x.tmp"
    unfinished.write_bytes(b"half")
    prototype_cache(root)
    assert not unfinished.exists()
    assert cache_file(root).exists()


def test_cache_works_in_memory_where_it_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    cache = prototype_cache(tmp_path / "data")
    cache.put(KEY, ENCODED)
    assert cache.get(KEY) is ENCODED
    assert cache.get("b" * 64) is None
    cache.retain(set())
    assert cache.get(KEY) is None
