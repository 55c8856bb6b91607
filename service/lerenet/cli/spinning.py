"""How long torch's CPU threads wait awake for each other."""

from __future__ import annotations

import os

SPIN_COUNT = 10_000
"""Turns of libgomp's waiting loop before a thread sleeps: a few tenths of a millisecond, about the time to wake it."""


def spin_briefly() -> None:
    """Sets how long OpenMP's threads spin, unless the environment says so; call it before torch is imported.

    By default they spin for milliseconds. Where another process wants the same CPUs, the one that spins then keeps the
    one it waits for from running: a registration of 5 s took more than a minute beside one busy process.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
