"""The thread that prepares the next batch while the device runs this one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic

from lerenet.inference.waiting import Job, Result

if TYPE_CHECKING:
    from lerenet.inference.agenda import Agenda
    from lerenet.inference.attempts import BatchRunner


class StagingThread(Generic[Job, Result]):
    """Stages one batch ahead, and no more. It starts at once, as a daemon.

    Args:
        agenda: Where the next batch comes from, and where it is left.
        runner: Prepares it.
        lock: Of the agenda.
        changed: Notified when a batch is prepared; made of `lock`.

    Attributes:
        is_preparing: Whether the staged batch is being prepared; changes under the lock.
    """

    def __init__(
        self,
        agenda: Agenda[Job, Result],
        runner: BatchRunner[Job, Result],
        lock: threading.RLock,
        changed: threading.Condition,
    ) -> None:
        self._agenda = agenda
        self._runner = runner
        self._changed = changed
        self._roused = threading.Condition(lock)
        self._is_closed = False
        self.is_preparing = False
        threading.Thread(target=self._live, name="lerenet-staging", daemon=True).start()

    def rouse(self) -> None:
        """Says, under the lock, that a batch has started, or that a job joined while one runs."""
        self._roused.notify()

    def close(self) -> None:
        """Ends the thread."""
        with self._roused:
            self._is_closed = True
            self._roused.notify()

    def _live(self) -> None:
        while self._wait_until_due():
            self._stage()

    def _wait_until_due(self) -> bool:
        with self._roused:
            while not self._is_closed:
                due_in_s = self._agenda.staging_due_in_s()
                if due_in_s == 0.0:
                    self._agenda.staged = self._agenda.take()
                    self.is_preparing = True
                    return True
                self._roused.wait(due_in_s)
        return False

    def _stage(self) -> None:
        batch = self._agenda.staged
        try:
            if batch is not None:  # unless all has been answered meanwhile, in closing
                self._runner.prepare(batch)
        finally:
            del batch  # this thread must not keep what the device is done with
            with self._changed:
                self.is_preparing = False
                self._changed.notify_all()
