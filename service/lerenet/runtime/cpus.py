"""How many CPUs this process may use: containers are often granted fewer than the host has."""

from __future__ import annotations

import math
import os
from pathlib import Path

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")


def available_cpus(quota_file: Path = QUOTA_FILE) -> int:
    """CPUs by affinity and by the control group's quota, whichever is less; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _granted(quota_file)))


def _granted(quota_file: Path) -> int:
    """CPUs by quota, rounded up; a very large number without one."""
    unlimited = 1 << 16
    try:
        quota, period = quota_file.read_text(encoding="ascii").split()
        return unlimited if quota == "max" else math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return unlimited
