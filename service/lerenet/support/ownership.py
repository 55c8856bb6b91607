"""Which API key made which class, so that a key can be held to its number of classes, also after a restart.

A file per class, named after it, holds the prefix of the key. What the files say of a class that is no more counts for
nothing, so a crash between a change and its file costs a key no place.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lerenet.errors import QuotaExceeded, RegistryError
from lerenet.observability.caller import ANONYMOUS, Caller, current_caller
from lerenet.support.audit import RegistryChange
from lerenet.support.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Names = Collection[str]


class Places(Protocol):
    """Holds callers to their number of classes."""

    def place(self, name: str, registered: Callable[[], Awaitable[Names]]) -> AbstractAsyncContextManager[None]:
        """Holds a place among the classes of the current caller while they make one.

        Args:
            name: Of the class, which is not there yet.
            registered: Gives the names of all classes.

        Raises:
            QuotaExceeded: They have as many as they may.
        """


class Owners(Places, Protocol):
    """Knows which key made which class."""

    def owners(self) -> Mapping[str, str]:
        """Prefix of the key by name of the class; may name classes that are no more."""

    def assign(self, name: str, owner: str) -> None:
        """Say that a class was made with a key."""


def is_owned(change: RegistryChange) -> bool:
    """Whether a change makes a class that counts for its key; what an operator's command brings in does not."""
    return change.before is None and change.what != "import" and change.who != ANONYMOUS.name


def quota_exceeded(owner: str, max_classes: int) -> QuotaExceeded:
    """What to tell a caller who has as many classes as they may."""
    return QuotaExceeded(
        f"{max_classes} classes were made with the key {owner}, which is all it may have: delete one, or ask the"
        " operator for more",
        pointer="/name",
    )


class Ownership:
    """Which key made which class, in the files of one data folder.

    Args:
        folder: Of the files; made by the first change.
        unfinished: Where they are written first; there by the first change.

    Raises:
        RegistryError: The folder cannot be read.
    """

    def __init__(self, folder: Path, unfinished: Path) -> None:
        self._folder = folder
        self._unfinished = unfinished
        self._being_made: dict[str, list[str]] = defaultdict(list)
        try:
            files = list(folder.iterdir()) if folder.exists() else []
            self._owners = {each.name: each.read_text(encoding="utf-8") for each in files}
        except (OSError, UnicodeDecodeError) as err:
            raise RegistryError(f"{folder} cannot be used ({err}); it says which key made which class") from err

    def note(self, change: RegistryChange) -> None:
        """Keeps who made a class, until it is deleted; raises OSError. Called where changes are stored."""
        if change.before is not None and change.after is not None:
            return
        if is_owned(change):
            self.assign(change.name, change.who)
        elif self._owners.pop(change.name, None) is not None:
            (self._folder / change.name).unlink(missing_ok=True)

    def owners(self) -> Mapping[str, str]:
        """Prefix of the key by name of the class."""
        return dict(self._owners)

    def assign(self, name: str, owner: str) -> None:
        """Say that a class was made with a key; raises OSError."""
        self._owners[name] = owner
        self._folder.mkdir(exist_ok=True)
        write_atomically(self._folder / name, owner.encode(), self._unfinished)

    @asynccontextmanager
    async def place(self, name: str, registered: Callable[[], Awaitable[Names]]) -> AsyncIterator[None]:
        """See `Places.place`; within this process."""
        caller = current_caller()
        if caller.max_classes is None:
            yield
            return
        names = await registered()
        with self._held(caller, caller.max_classes, name, names):
            yield

    @contextmanager
    def _held(self, caller: Caller, max_classes: int, name: str, registered: Names) -> Iterator[None]:
        owned = {each for each in registered if self._owners.get(each) == caller.name}
        being_made = self._being_made[caller.name]
        if len(owned.union(being_made) - {name}) >= max_classes:
            raise quota_exceeded(caller.name, max_classes)
        being_made.append(name)
        try:
            yield
        finally:
            being_made.remove(name)
