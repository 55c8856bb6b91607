"""Counts over several processes, and their signs of life: a mapped file with a column for each of them.

Each process alone writes to its column; a count is the sum of its row. Nothing is locked: a process adds to its own
number before it looks at the sum, so that of two that come at once neither misses the other. What a process held when
it died is struck out by the core.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Self

from lerenet.runtime.admission import Tallies

if TYPE_CHECKING:
    from collections.abc import Iterator

N_TALLIES = 4
BEATS = N_TALLIES
"""The row of signs of life, behind those of counts."""
N_ROWS = N_TALLIES + 1
CORE_SLOT = 0
_NUMBER_BYTES = 8


class Board:
    """The mapped file.

    Args:
        descriptor: Of the file; stays the caller's to close.
        n_slots: Processes that write to it, the core included.
    """

    def __init__(self, descriptor: int, n_slots: int) -> None:
        self.descriptor = descriptor
        self.n_slots = n_slots
        self._map = mmap.mmap(descriptor, N_ROWS * n_slots * _NUMBER_BYTES)
        self._numbers = memoryview(self._map).cast("q")

    @classmethod
    @contextmanager
    def made(cls, n_slots: int) -> Iterator[Self]:
        """A board of zeros in a file that has no name; it is gone with the last process that has it open."""
        with tempfile.TemporaryFile(prefix="lerenet-board-") as file:
            file.truncate(N_ROWS * n_slots * _NUMBER_BYTES)
            with closing(cls(file.fileno(), n_slots)) as board:
                yield board

    @classmethod
    def opened(cls, descriptor: int) -> Self:
        """The board of a file that another process made."""
        return cls(descriptor, os.fstat(descriptor).st_size // (N_ROWS * _NUMBER_BYTES))

    def close(self) -> None:
        """Unmaps the file."""
        self._numbers.release()
        self._map.close()

    def tallies(self, slot: int) -> Tallies:
        """The counts, written to from one process."""
        return Tallies(*(SharedTally(self, row, slot) for row in range(N_TALLIES)))

    def strike_out(self, slot: int) -> None:
        """Forgets what a dead process held."""
        for row in range(N_ROWS):
            self._numbers[row * self.n_slots + slot] = 0

    def beat(self, slot: int) -> None:
        """Gives a sign of life."""
        self.add(BEATS, slot, 1)

    def beats(self, slot: int) -> int:
        """Signs of life that a process has given since it began."""
        return self._numbers[BEATS * self.n_slots + slot]

    def total(self, row: int) -> int:
        """Sum of a row."""
        return sum(self._numbers[row * self.n_slots : (row + 1) * self.n_slots])

    def add(self, row: int, slot: int, amount: int) -> None:
        """Adds to a process's number."""
        self._numbers[row * self.n_slots + slot] += amount


class SharedTally:
    """One row of a board, as one process writes to it; see `admission.Tally`."""

    def __init__(self, board: Board, row: int, slot: int) -> None:
        self._board = board
        self._row = row
        self._slot = slot

    @property
    def total(self) -> int:
        """In all processes together."""
        return self._board.total(self._row)

    def add(self, amount: int) -> None:
        """Counts more in this process."""
        self._board.add(self._row, self._slot, amount)
