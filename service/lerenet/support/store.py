"""What the registry asks of a store: immutable revisions, and one pointer per name that moves by compare-and-set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from lerenet.errors import RegistryError
from lerenet.support.limits import Limits
from lerenet.support.records import SupportClass

KEPT_REVISIONS = 20
"""How many revisions of a class stay, the current one among them."""


_PAGE = 100

MEAN_PROBABILITY = (0.0, 1.0, 0.0)
"""The confidence that says no more of a region than its mean probability."""


@dataclass(frozen=True, slots=True)
class AssessmentRecord:
    """What was measured on a support set with one weights file.

    Attributes:
        scale: Working scale of the encoding, from the ladder 1, 1/2, 1/4, 1/8.
        threshold: Suggested probability threshold in [0, 1].
        loo_iou: Leave-one-out IoU in [0, 1]; None with a single shot.
        min_score: Suggested least score of a region in [0, 1].
        confidence: Numbers that score a region.
    """

    scale: float
    threshold: float
    loo_iou: float | None
    min_score: float = 0.0
    confidence: tuple[float, float, float] = MEAN_PROBABILITY


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of the current classes in order of name; `next` is the cursor of the following page, if any."""

    classes: tuple[SupportClass, ...]
    next: str | None


class SupportStore(Protocol):
    """Blocking and safe to call from several threads. Every method raises `RegistryError` when the store fails.

    A write is whole or absent, also after kill -9: it is durable once `commit` or `delete` has returned True.
    """

    def current(self, name: str) -> SupportClass | None:
        """The revision that `name` points at, read at the source; None for a name that nobody registered."""

    def revision(self, name: str, revision: str) -> SupportClass | None:
        """A revision that still stays, current or not."""

    def recalled(self, name: str, revision: str | None) -> SupportClass | None:
        """A revision, or the current one for None, as far as it can be told without waiting for another host."""

    def revisions(self, name: str) -> list[str]:
        """Revisions of a class that stay, newest first."""

    def page(self, after: str | None, limit: int) -> Page:
        """At most `limit` current classes whose names sort after `after`."""

    def count(self) -> int:
        """Number of classes."""

    def generation(self) -> int:
        """A number that grows with every change, by whichever process; of a moment ago where others' are concerned."""

    def refresh(self) -> int:
        """The generation as the store has it now, read at the source; what was behind it catches up."""

    def pointers(self) -> tuple[int, dict[str, str]]:
        """The generation, and every name with its current revision at that generation, in order of name."""

    def commit(self, record: SupportClass, blobs: Mapping[str, bytes], *, expected: str | None, limits: Limits) -> bool:
        """Store a revision and point its name at it, if the name still points at `expected` (None: at nothing).

        `blobs` holds, by hex sha256, what the expected revision does not already hold. All but the last
        `KEPT_REVISIONS` revisions are forgotten, with the blobs that nobody else uses.

        Returns:
            False, with nothing stored, when the pointer is elsewhere.

        Raises:
            LimitExceeded: The name is new, and as many classes are registered as the limits allow.
        """

    def delete(self, name: str, *, expected: str) -> bool:
        """Forget a class with all its revisions and the blobs nobody else uses, if it still points at `expected`."""

    def read_blob(self, sha256: str) -> bytes:
        """Bytes by name, checked against it."""

    def mend(self, blobs: Mapping[str, bytes]) -> None:
        """Store those of the blobs, by hex sha256, that are in use and lost."""

    @property
    def trouble(self) -> RegistryError | None:
        """Why writes would be refused now, as far as can be told without a write; None: no reason is known."""

    @property
    def doubtful(self) -> Collection[str]:
        """Names of classes of which nobody knows what is current; they are missing in `pointers`."""

    def assessments(self, support_digests: Iterable[str], weights_digest: str) -> dict[str, AssessmentRecord]:
        """Assessments made with these weights, for those of the digests that have one."""

    def save_assessment(self, support_digest: str, weights_digest: str, assessment: AssessmentRecord) -> None:
        """Keep an assessment; it is forgotten with the last revision of that content."""

    def all_assessments(self) -> list[tuple[str, str, AssessmentRecord]]:
        """Support digest, weights digest and assessment of all there are."""

    def support_digests(self) -> set[str]:
        """Support digests of every revision that stays."""

    def close(self) -> None:
        """Release files and connections."""


def all_current(store: SupportStore) -> Iterator[SupportClass]:
    """Every current class of a store, in order of name."""
    cursor: str | None = None
    while True:
        page = store.page(cursor, _PAGE)
        yield from page.classes
        cursor = page.next
        if cursor is None:
            return
