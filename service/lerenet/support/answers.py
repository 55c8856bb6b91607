"""What the registry answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from lerenet.support.records import SupportClass
from lerenet.support.store import MEAN_PROBABILITY, AssessmentRecord

Encoding_co = TypeVar("Encoding_co", covariant=True)

DEFAULT_THRESHOLD = 0.5
"""Stands in for a threshold that is not yet suggested."""


@dataclass(frozen=True)
class RegisteredClass:
    """A revision, and what the current weights make of it.

    Attributes:
        record: The revision: `.name`, `.revision`, `.shots`, `.normals`, `.parameters`, `.created_at`, `.revised_at`.
        assessment: Scale, suggestions and leave-one-out IoU; None while the weights are new to the class.
    """

    record: SupportClass
    assessment: AssessmentRecord | None

    @property
    def is_ready(self) -> bool:
        """Whether the class is assessed under the current weights."""
        return self.assessment is not None

    @property
    def threshold(self) -> float:
        """The threshold in force: the user's, else the suggested one, else a provisional 0.5 until it is ready."""
        return effective_threshold(self.record, self.assessment)

    @property
    def min_score(self) -> float:
        """The least score in force: the user's, else the suggested one, else 0 until it is ready."""
        return effective_min_score(self.record, self.assessment)

    @property
    def scale(self) -> float | None:
        """Working scale; None until it is ready."""
        return None if self.assessment is None else self.assessment.scale

    @property
    def loo_iou(self) -> float | None:
        """Leave-one-out IoU; None with a single shot, and until it is ready."""
        return None if self.assessment is None else self.assessment.loo_iou


@dataclass(frozen=True)
class ShotFile:
    """An image or mask file of a shot, and the revision it was read from."""

    data: bytes
    revision: str


@dataclass(frozen=True)
class Change:
    """The outcome of a write.

    Attributes:
        registered: The class as it stands.
        is_created: The name was free before.
        is_changed: The current revision is another than before; False for a request sent again.
    """

    registered: RegisteredClass
    is_created: bool
    is_changed: bool


@dataclass(frozen=True)
class ClassPage:
    """A slice of the classes in order of name; `next` is the cursor of the following page, if any."""

    classes: tuple[RegisteredClass, ...]
    next: str | None


@dataclass(frozen=True)
class ResolvedClass(Generic[Encoding_co]):
    """What segmentation needs of a class.

    Attributes:
        record: The revision; `.parameters.min_area_px` applies unless the request says otherwise.
        encoding: Its prototypes under the current weights.
        threshold: The threshold in force.
        min_score: The least score of a region in force.
        confidence: Numbers that score a region.
    """

    record: SupportClass
    encoding: Encoding_co
    threshold: float
    min_score: float = 0.0
    confidence: tuple[float, float, float] = MEAN_PROBABILITY


def effective_threshold(record: SupportClass, assessment: AssessmentRecord | None) -> float:
    """The user's threshold where there is one, else the suggested one, else `DEFAULT_THRESHOLD`."""
    if record.parameters.threshold is not None:
        return record.parameters.threshold
    return DEFAULT_THRESHOLD if assessment is None else assessment.threshold


def effective_min_score(record: SupportClass, assessment: AssessmentRecord | None) -> float:
    """The user's least score where there is one, else the suggested one, else 0: every region stays."""
    if record.parameters.min_score is not None:
        return record.parameters.min_score
    return 0.0 if assessment is None else assessment.min_score
