"""Classes whose stored files turned out to be damaged."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from lerenet.errors import ClassDamaged, RegistryError
from lerenet.support.records import SupportClass

LOOK_AGAIN_S = 10.0
"""How long a damaged class is refused without reading its files again, in seconds: others should not wait for that."""


class DamagedClasses:
    """Revisions found damaged. Belongs to one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._found_at: dict[tuple[str, str], float] = {}

    def note(self, record: SupportClass) -> None:
        """A file of the revision cannot be read."""
        self._found_at[record.name, record.revision] = self._clock()

    def forget(self, record: SupportClass) -> None:
        """The revision works, or may do so again."""
        self._found_at.pop((record.name, record.revision), None)

    def check(self, record: SupportClass) -> None:
        """Refuse a revision that was found damaged a moment ago.

        Raises:
            ClassDamaged: It was.
        """
        found_at = self._found_at.get((record.name, record.revision))
        if found_at is not None and self._clock() - found_at < LOOK_AGAIN_S:
            raise ClassDamaged(
                f"Class {record.name!r} at {record.revision} cannot be used: a file of its support set is damaged or "
                "lost. Register the same images again, restore the data folder from a backup, or delete the class."
            )

    def among(self, live: Mapping[str, SupportClass]) -> list[str]:
        """Names, in order, of the current classes that are known to be damaged."""
        return sorted(name for name, revision in self._found_at if name in live and live[name].revision == revision)


def class_damaged(record: SupportClass, err: RegistryError) -> ClassDamaged:
    """What to tell of a class one of whose files cannot be read."""
    return ClassDamaged(f"Class {record.name!r} at {record.revision} cannot be used: {err.detail}")
