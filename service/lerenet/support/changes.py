"""What each verb makes of a class: pure functions from the current revision to the next.

A change is a function `SupportClass | None -> SupportClass`. It raises when the request cannot be met, and returns the
current revision itself when there is nothing to do. The registry may call it again when another writer was quicker.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from lerenet.errors import ClassExists, InvalidSupport, PreconditionFailed, UnknownClass
from lerenet.support.records import NormalRecord, Parameters, ShotRecord, SupportClass, new_class, support_digest_of
from lerenet.support.uploads import Contribution

ANY = "*"
"""As `if_match`: whatever revision is current. As `if_none_match`: whatever it is, refuse."""


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "unset"


UNSET: Final = Unset.UNSET
"""A parameter the caller did not mention, where None means something."""


@dataclass(frozen=True, slots=True)
class ParameterChanges:
    """Parameters the caller mentioned; the others are UNSET. None returns to the suggested value."""

    threshold: float | Unset | None = UNSET
    min_area_px: int | Unset = UNSET
    description: str | Unset = UNSET
    min_score: float | Unset | None = UNSET

    def applied_to(self, parameters: Parameters) -> Parameters:
        """The parameters with what was mentioned replaced.

        Raises:
            MalformedRequest: A value is outside its range.
        """
        return Parameters(
            threshold=parameters.threshold if isinstance(self.threshold, Unset) else self.threshold,
            min_area_px=parameters.min_area_px if isinstance(self.min_area_px, Unset) else self.min_area_px,
            description=parameters.description if isinstance(self.description, Unset) else self.description,
            min_score=parameters.min_score if isinstance(self.min_score, Unset) else self.min_score,
        )


Record = TypeVar("Record", bound=ShotRecord | NormalRecord)
Derive = Callable[[SupportClass | None], SupportClass]


def creation(name: str, added: Contribution, mentioned: ParameterChanges) -> Derive:
    """A new class. The same images again leave an existing class as it is, also one whose parameters were tuned since.

    The function raises ClassExists when the name holds other images, or a mentioned parameter differs.
    """
    _require_shots(added.shots)
    parameters = mentioned.applied_to(Parameters())

    def derive(current: SupportClass | None) -> SupportClass:
        if current is None:
            return new_class(name, added.shots, added.normals, parameters)
        is_same_support = current.support_digest == support_digest_of(added.shots, added.normals)
        if is_same_support and mentioned.applied_to(current.parameters) == current.parameters:
            return current
        raise ClassExists(
            f"Class {name!r} exists with other content (revision {current.revision}). Replace it, append to it, "
            "delete it first, or choose another name.",
            pointer="/name",
        )

    return derive


def replacement(
    name: str, added: Contribution, parameters: Parameters, if_match: str | None, if_none_match: str | None
) -> Derive:
    """A class whole, whether or not the name was taken. Raises PreconditionFailed as the caller asked."""
    _require_shots(added.shots)

    def derive(current: SupportClass | None) -> SupportClass:
        check_preconditions(name, current, if_match, if_none_match)
        created_at = None if current is None else current.created_at
        return _kept_if_same(current, new_class(name, added.shots, added.normals, parameters, created_at=created_at))

    return derive


def addition(name: str, added: Contribution, if_match: str | None) -> Derive:
    """A class with further shots and normals; those it has already are passed over. Raises UnknownClass without one."""

    def derive(current: SupportClass | None) -> SupportClass:
        current = required(name, current, if_match)
        shots = _union(current.shots, added.shots)
        normals = _union(current.normals, added.normals)
        return _revised(current, shots, normals, current.parameters)

    return derive


def removal(name: str, index: int, if_match: str | None) -> Derive:
    """A class without one shot; those behind it move up. Raises UnknownClass, or InvalidSupport for the only shot."""

    def derive(current: SupportClass | None) -> SupportClass:
        current = required(name, current, if_match)
        shot_at(current, index)
        if len(current.shots) == 1:
            raise InvalidSupport(f"Shot {index} is the only one of class {name!r}; delete the class instead.")
        kept = tuple(shot for shot in current.shots if shot.index != index)
        return _revised(current, kept, current.normals, current.parameters)

    return derive


def tuning(name: str, mentioned: ParameterChanges, if_match: str | None) -> Derive:
    """A class with other parameters. Raises UnknownClass without one, and MalformedRequest outside a range."""

    def derive(current: SupportClass | None) -> SupportClass:
        current = required(name, current, if_match)
        return _revised(current, current.shots, current.normals, mentioned.applied_to(current.parameters))

    return derive


def check_preconditions(
    name: str, current: SupportClass | None, if_match: str | None, if_none_match: str | None = None
) -> None:
    """Hold a request to the revision its caller has in mind.

    Raises:
        PreconditionFailed: `if_match` names another revision than the current one, or `if_none_match` names it.
    """
    state = "does not exist" if current is None else f"is at revision {current.revision}"
    if if_match is not None and (current is None or if_match not in (ANY, current.revision)):
        raise PreconditionFailed(f"Class {name!r} {state}, not at {if_match}. Fetch it and try again.")
    if if_none_match is not None and current is not None and if_none_match in (ANY, current.revision):
        raise PreconditionFailed(f"Class {name!r} {state} already. Fetch it, or choose another name.")


def required(name: str, current: SupportClass | None, if_match: str | None = None) -> SupportClass:
    """The class, which must exist and be the one the caller has in mind.

    Raises:
        UnknownClass: Nobody registered the name.
        PreconditionFailed: It is at another revision.
    """
    if current is None:
        raise UnknownClass(f"No class {name[:80]!r} is registered. List the support classes to see their names.")
    check_preconditions(name, current, if_match)
    return current


def shot_at(record: SupportClass, index: int) -> ShotRecord:
    """One shot by position.

    Raises:
        UnknownClass: There is no such shot.
    """
    if not 0 <= index < len(record.shots):
        last = len(record.shots) - 1
        raise UnknownClass(f"Class {record.name!r} has no shot {index}; its shots are 0 to {last}.")
    return record.shots[index]


def _require_shots(shots: tuple[ShotRecord, ...]) -> None:
    if not shots:
        raise InvalidSupport("A class needs at least one image with its mask.", pointer="/images")


def _union(held: tuple[Record, ...], added: tuple[Record, ...]) -> tuple[Record, ...]:
    """Both in order, each pair or image once; what the class holds twice already stays."""
    seen = {record.identity for record in held}
    new = {record.identity: record for record in added if record.identity not in seen}
    return (*held, *new.values())


def _revised(
    current: SupportClass,
    shots: tuple[ShotRecord, ...],
    normals: tuple[NormalRecord, ...],
    parameters: Parameters,
) -> SupportClass:
    return _kept_if_same(current, new_class(current.name, shots, normals, parameters, created_at=current.created_at))


def _kept_if_same(current: SupportClass | None, draft: SupportClass) -> SupportClass:
    return current if current is not None and current.revision == draft.revision else draft
