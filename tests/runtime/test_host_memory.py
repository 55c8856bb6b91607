"""What the service asks of the C library, tried in a process of its own: the setting cannot be taken back."""

from __future__ import annotations

import subprocess
import sys

import pytest

BODY = """
import ctypes, resource, sys
if not hasattr(ctypes.CDLL(None), "mallopt"):
    sys.exit(77)
import torch
from lerenet.runtime.host_memory import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def touch():
    torch.ones(64 << 18)  # 64 MiB
for _ in range(4):  # until a block of this size has found its place
    touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(16):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", BODY, mode], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this C library has no mallopt")
    assert not done.returncode, done.stderr
    return int(done.stdout)


def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    assert faults("kept") < faults("given back") / 10
