"""Who changed what: one line per change of the registry, in the log and in a file of the data folder.

    {"time": "...", "who": "lere_1f0c9a2e", "what": "patch", "class": "scratches", "before": "...", "after": "...",
     "request_id": "..."}

`who` is the prefix of the API key, or `anonymous`; `before` and `after` are revisions, null for none.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

import structlog

from lerenet.observability.caller import current_caller
from lerenet.observability.request_id import current_request_id

Verb = Literal["create", "put", "append", "drop_shot", "patch", "delete", "import"]

FILE_BYTES = 10 << 20
N_FILES_BEFORE = 9

_log = structlog.get_logger("lerenet.audit")

_being_stored: ContextVar[RegistryChange | None] = ContextVar("change_being_stored", default=None)


@dataclass(frozen=True)
class RegistryChange:
    """A change that is stored. Who and when are taken from where it is made: in the task of the request.

    Attributes:
        what: The registry's word for it.
        name: Of the class.
        before: Revision that was current; None for a new class.
        after: Revision that is; None for a deleted class.
        who: Prefix of the API key, or `anonymous`.
        request_id: Of the request; None outside of one.
        time: UTC, in ISO 8601.
    """

    what: Verb
    name: str
    before: str | None
    after: str | None
    who: str = field(default_factory=lambda: current_caller().name)
    request_id: str | None = field(default_factory=current_request_id)
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    def as_line(self) -> dict[str, Any]:
        """The change by the names of the file's fields."""
        return {
            "time": self.time,
            "who": self.who,
            "what": self.what,
            "class": self.name,
            "before": self.before,
            "after": self.after,
            "request_id": self.request_id,
        }


Listener = Callable[[RegistryChange], None]


def noting(change: RegistryChange, store: Callable[[], bool], listeners: Sequence[Listener]) -> Callable[[], bool]:
    """Stores a change and tells of it, in one go: whoever leaves meanwhile cuts neither from the other.

    Args:
        change: What is stored.
        store: Stores it; False when it did not. It may keep the change with it: see `change_being_stored`.
        listeners: Told once it is there. Their trouble is logged, and undoes nothing.
    """

    def store_then_note() -> bool:
        token = _being_stored.set(change)
        try:
            is_stored = store()
        finally:
            _being_stored.reset(token)
        for listener in listeners if is_stored else ():
            try:
                listener(change)
            except Exception:
                _log.exception("a change was stored, but not noted everywhere", **{"class": change.name})
        return is_stored

    return store_then_note


def change_being_stored() -> RegistryChange | None:
    """The change that `noting` stores on this thread, for a store that keeps its own trail; None outside of one."""
    return _being_stored.get()


def log_change(change: RegistryChange) -> None:
    """Writes a change to the log alone."""
    _log.info("registry change", **{name: value for name, value in change.as_line().items() if name != "time"})


class AuditTrail:
    """The file of changes. Each is one append; two processes may only get in each other's way where a file is full.

    Args:
        folder: Of the file and those before it; made with the first change.
    """

    def __init__(self, folder: Path) -> None:
        self._path = trail_in(folder)

    def note(self, change: RegistryChange) -> None:
        """Writes a change to the log and to the file; raises OSError when the file cannot be written."""
        log_change(change)
        self.keep(change)

    def keep(self, change: RegistryChange) -> None:
        """Writes a change to the file alone; raises OSError when it cannot be written."""
        self._path.parent.mkdir(exist_ok=True)
        file = _Raising(self._path, maxBytes=FILE_BYTES, backupCount=N_FILES_BEFORE, encoding="utf-8", delay=True)
        try:
            file.emit(logging.makeLogRecord({"msg": json.dumps(change.as_line())}))
        finally:
            file.close()

    def read(self) -> Iterator[dict[str, Any]]:
        """See `read_trail`."""
        return read_trail(self._path.parent)

    def take(self, lines: Iterable[Mapping[str, Any]]) -> int:
        """Take over the lines of another trail where there are none yet; the number taken. Raises OSError."""
        if self._path.exists():
            return 0
        # the newest file comes last: until it is there, a copy that was cut off begins anew
        unfinished = self._path.parent / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        taken, n_taken = AuditTrail(unfinished), 0
        for line in lines:
            fields = {"name" if field == "class" else field: value for field, value in line.items()}
            taken.keep(RegistryChange(**fields))
            n_taken += 1
        for path in files_in(unfinished):
            path.rename(self._path.parent / path.name)
        unfinished.rmdir()
        return n_taken


class _Raising(RotatingFileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        raise  # noqa: PLE0704 (called while an error is handled)


def trail_in(folder: Path) -> Path:
    """The newest file of a trail; those before it end in `.1` to `.9`."""
    return folder / "audit.jsonl"


def files_in(folder: Path) -> list[Path]:
    """The files of a trail that are there, oldest first."""
    newest = trail_in(folder)
    files = [newest.with_name(f"{newest.name}.{i}") for i in range(N_FILES_BEFORE, 0, -1)]
    return [path for path in (*files, newest) if path.exists()]


def read_trail(folder: Path) -> Iterator[dict[str, Any]]:
    """Changes, oldest first; a line that a crash cut off is passed over.

    Raises:
        OSError: A file cannot be read.
    """
    for path in files_in(folder):
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield from filter(None, map(_parsed, lines))


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        parsed = json.loads(line)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
