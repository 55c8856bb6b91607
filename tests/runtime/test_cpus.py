from __future__ import annotations

import os
from pathlib import Path

import pytest

from lerenet.runtime.cpus import available_cpus

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000", ALLOWED),
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("99900000 100000", ALLOWED),
        ("odd", ALLOWED),
    ],
)
def test_a_quota_is_rounded_up_within_what_the_host_has(tmp_path: Path, quota: str, expected: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)

    assert available_cpus(file) == expected


def test_without_a_quota_every_allowed_cpu_counts(tmp_path: Path) -> None:
    assert available_cpus(tmp_path / "none") == ALLOWED
