"""How much the registry takes."""

from __future__ import annotations

from dataclasses import dataclass

from lerenet.errors import LimitExceeded
from lerenet.support.records import SupportClass


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the registry takes."""

    max_shots: int = 32
    max_normals: int = 32
    max_classes: int = 1_000

    def check_class(self, record: SupportClass, current: SupportClass | None = None) -> None:
        """Refuse a revision with too many images; one that is no larger than the current one passes.

        So a class that was registered under wider limits can still be tuned and cut down.

        Raises:
            LimitExceeded: More shots or normals than allowed.
        """
        n_shots, n_normals = (0, 0) if current is None else (len(current.shots), len(current.normals))
        for field, n_images, limit in (
            ("images", len(record.shots), max(self.max_shots, n_shots)),
            ("normals", len(record.normals), max(self.max_normals, n_normals)),
        ):
            if n_images > limit:
                detail = (
                    f"Class {record.name!r} would have {n_images} {field}; the limit is {limit}. Keep the most varied."
                )
                raise LimitExceeded(detail, pointer=f"/{field}")

    def check_count(self, n_classes: int) -> None:
        """Refuse one more class.

        Raises:
            LimitExceeded: `n_classes` are registered, and no more are taken.
        """
        if n_classes >= self.max_classes:
            detail = (
                f"{n_classes} classes are registered; the limit is {self.max_classes}. Delete one that is not used."
            )
            raise LimitExceeded(detail, pointer="/name")
