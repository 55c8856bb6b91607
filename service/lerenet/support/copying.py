"""A whole registry from one place to another: folder to database, database to folder, or between two of a kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from lerenet.conflicts import OnCopyConflict
from lerenet.errors import ClassExists, PreconditionFailed, RegistryError
from lerenet.support.audit import RegistryChange, noting
from lerenet.support.backing import Backing, Place, is_database, opened
from lerenet.support.limits import Limits
from lerenet.support.records import SupportClass
from lerenet.support.store import SupportStore, all_current

WHO = "lerenet registry copy"
"""Who made a change, in the trail of changes."""

CopyOutcome = Literal["added", "completed", "unchanged", "replaced"]


@dataclass(frozen=True)
class Copied:
    """What became of a class: its name, its current revision, and how many of its revisions went over."""

    name: str
    revision: str
    n_revisions: int
    outcome: CopyOutcome


def copy_registry(
    source: Place, target: Place, *, on_conflict: OnCopyConflict = "refuse", limits: Limits | None = None
) -> Iterator[Copied]:
    """Copy every class with all its revisions in order, images, owner and assessments, then the trail if there is none.

    Every image is checked against its hash. Cut off and begun again, it goes on where it was; done, it changes nothing.
    Services on either side may run: what is written meanwhile may be missing.

    Args:
        source: Where the registry is.
        target: Where it goes; made when missing.
        on_conflict: Of a class whose name is taken by other content: refuse all, or put these revisions on top.
        limits: How much the target takes.

    Raises:
        ClassExists: A name is taken, and conflicts are refused.
        RegistryError: There is no registry at the source, something in it is damaged, or the target cannot be used.
        LimitExceeded: Too many classes.
    """
    if not is_database(source) and not (Path(source) / "blobs").is_dir():
        raise RegistryError(f"There is no registry at {source}. Name a service's data folder.")
    with opened(source) as here, opened(target) as there:
        plans = [_plan(here.store, there.store, record) for record in all_current(here.store)]
        if on_conflict == "refuse":
            for plan in plans:
                plan.refuse_conflict()
        there.trail.take(here.trail.read())
        owners = here.owners.owners()
        for plan in plans:
            copied = _copy_class(here.store, there, plan, limits or Limits())
            if plan.name in owners:
                there.owners.assign(plan.name, owners[plan.name])
            yield copied
        for support_digest, weights_digest, assessment in here.store.all_assessments():
            there.store.save_assessment(support_digest, weights_digest, assessment)


@dataclass(frozen=True)
class _Plan:
    """A class to copy.

    Attributes:
        name: Of the class.
        revisions: All that the source keeps, oldest first.
        n_there: How many of the first of them are the newest of the target, in this order.
        before: What the target's name points at.
        is_ours: The target has no revisions but those.
    """

    name: str
    revisions: Sequence[str]
    n_there: int
    before: str | None
    is_ours: bool

    def refuse_conflict(self) -> None:
        """Raises ClassExists when the name is taken by other content."""
        if not self.is_ours and self.n_there < len(self.revisions):
            raise ClassExists(
                f"Class {self.name!r} exists with other content (revision {self.before}, at the source "
                f"{self.revisions[-1]}); nothing was copied. Choose `replace` to put the source's revisions on top."
            )

    @property
    def outcome(self) -> CopyOutcome:
        """What copying it makes of it."""
        if self.n_there == len(self.revisions):
            return "unchanged"
        if self.before is None:
            return "added"
        return "completed" if self.is_ours else "replaced"


def _plan(here: SupportStore, there: SupportStore, record: SupportClass) -> _Plan:
    revisions, found = here.revisions(record.name)[::-1], there.revisions(record.name)[::-1]
    n_there = next(n for n in range(len(revisions), -1, -1) if found[len(found) - n :] == revisions[:n])
    return _Plan(record.name, revisions, n_there, found[-1] if found else None, len(found) == n_there)


def _copy_class(here: SupportStore, there: Backing, plan: _Plan, limits: Limits) -> Copied:
    before, expected = plan.before, plan.before
    held = there.store.current(plan.name)
    missing = plan.revisions[plan.n_there :]
    for revision in missing:
        record = here.revision(plan.name, revision)
        if record is None:
            raise PreconditionFailed(f"Class {plan.name!r} was changed meanwhile. Copy again.")
        wanted = record.blobs - (frozenset() if held is None else held.blobs)
        blobs = {sha256: here.read_blob(sha256) for sha256 in sorted(wanted)}
        commit = partial(there.store.commit, record, blobs, expected=expected, limits=limits)
        if revision == missing[-1]:  # the trail says once that the class came
            change = RegistryChange("import", plan.name, before, revision, who=WHO)
            commit = noting(change, commit, there.keepers)  # type: ignore[assignment]
        if not commit():
            raise PreconditionFailed(f"Class {plan.name!r} was changed meanwhile. Copy again.")
        held, expected = record, revision
    return Copied(plan.name, plan.revisions[-1], len(missing), plan.outcome)
