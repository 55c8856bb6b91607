"""How a run shows itself: a bar on a terminal, a line now and then elsewhere. Both say when it will be over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

_MEMORY = 0.98


class ProgressView(Protocol):
    """Shows the state of a run; a context manager, so that a terminal is left as it was."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, step: int, progress: float, loss: float) -> None:
        """After each step: steps done, share of the run done (0 to 1), and the step's loss."""
        ...

    def tell(self, message: str) -> None:
        """Something worth a line of its own."""
        ...


class Status:
    """Smooths the loss and foretells the end.

    Args:
        progress: Share of the run done at the start of this process, 0 to 1.
        clock: Seconds, monotonic.
    """

    def __init__(self, progress: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first = progress
        self._started = clock()
        self._sum = 0.0
        self._weight = 0.0

    def describe(self, step: int, progress: float, loss: float) -> str:
        """One line, such as `step 120 · loss 0.734 · 0:41:07 left`; a loss that is not finite leaves the mean alone."""
        if abs(loss) < float("inf"):
            self._sum = _MEMORY * self._sum + (1 - _MEMORY) * loss
            self._weight = _MEMORY * self._weight + (1 - _MEMORY)
        mean = self._sum / self._weight if self._weight else float("nan")
        return f"step {step} · loss {mean:.3f} · {self._left(progress)} left"

    def _left(self, progress: float) -> str:
        if progress <= self._first:
            return "?"
        spent_s = self._clock() - self._started
        left_s = round(spent_s * (1 - progress) / (progress - self._first))
        return f"{left_s // 3600}:{left_s // 60 % 60:02d}:{left_s % 60:02d}"


class LineProgress:
    """Plain lines, at most one every `every_s` seconds.

    Args:
        status: Makes the text.
        every_s: Seconds between lines.
        write: Takes one line.
    """

    def __init__(self, status: Status, every_s: float, write: Callable[[str], None]) -> None:
        self._status = status
        self._every_s = every_s
        self._write = write
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, step: int, progress: float, loss: float) -> None:
        """See `ProgressView`."""
        line = self._status.describe(step, progress, loss)
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._every_s
            self._write(f"{progress:6.1%} · {line}")

    def tell(self, message: str) -> None:
        """See `ProgressView`."""
        self._write(message)


class BarProgress:
    """A bar that stays at the bottom of the terminal.

    Args:
        status: Makes the text beside the bar.
        console: The terminal.
    """

    def __init__(self, status: Status, console: Console) -> None:
        self._status = status
        columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, step: int, progress: float, loss: float) -> None:
        """See `ProgressView`."""
        self._bar.update(self._task, completed=progress, description=self._status.describe(step, progress, loss))

    def tell(self, message: str) -> None:
        """See `ProgressView`."""
        self._bar.console.print(message, markup=False, highlight=False)


def build_progress(progress: float, every_s: float, console: Console | None = None) -> ProgressView:
    """A bar where there is a terminal, lines where there is none.

    Args:
        progress: Share of the run done so far, 0 to 1.
        every_s: Seconds between lines.
        console: Where to; standard output by default.
    """
    console = console or Console()
    status = Status(progress)
    if console.is_terminal:
        return BarProgress(status, console)
    return LineProgress(status, every_s, lambda line: print(line, file=console.file, flush=True))
