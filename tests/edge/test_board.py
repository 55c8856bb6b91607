from __future__ import annotations

import subprocess
import sys

import pytest

from lerenet.edge.board import Board
from lerenet.errors import QueueFull
from lerenet.runtime.admission import Budget

OTHER = """
import sys
from lerenet.edge.board import Board
Board.opened(int(sys.argv[1])).tallies(1).bytes.add(70)
"""


def test_a_budget_holds_over_processes() -> None:
    with Board.made(2) as board:
        budget = Budget(100, "bytes", lambda: 1.0, board.tallies(0).bytes)
        subprocess.run([sys.executable, "-c", OTHER, str(board.descriptor)], pass_fds=[board.descriptor], check=True)
        budget.take(30)
        with pytest.raises(QueueFull, match="100 bytes are being worked on"):
            budget.take(1)
        assert budget.held == 100


def test_what_a_dead_process_held_is_struck_out() -> None:
    with Board.made(3) as board:
        for slot in (1, 2):
            board.tallies(slot).pixels.add(10 * slot)
        board.strike_out(2)
        assert board.tallies(0).pixels.total == 10


def test_rows_are_counted_apart() -> None:
    with Board.made(2) as board:
        tallies = board.tallies(1)
        tallies.bytes.add(1)
        tallies.requests.add(3)
        assert [each.total for each in (tallies.bytes, tallies.pixels, tallies.requests)] == [1, 0, 3]
