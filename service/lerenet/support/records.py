"""What the registry knows of a support class: immutable records, and the digests that name them.

Two digests are taken over the same content:

* `support_digest` covers shots and normals, whatever the class is called. Prototypes and assessments depend on nothing
  else of a class, so they are kept under it: a changed threshold, or the same images under another name, costs no work.
* `revision` covers shots, normals and parameters. It names the revision and is the ETag. Weights take no part in it.

Both are taken over the digests of images and binarised masks, not over the bytes again. A mask counts by its pixels, so
another PNG encoder cannot change a revision.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

from lerenet.errors import InvalidSupport, MalformedRequest

NAME_RULE = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
MAX_DESCRIPTION = 2_000

_NAME = re.compile(NAME_RULE)
_REVISION = re.compile("[0-9a-f]{1,64}")


def is_name(text: str) -> bool:
    """Whether `text` may name a class."""
    return _NAME.fullmatch(text) is not None


def is_revision(text: str) -> bool:
    """Whether `text` may be a revision."""
    return _REVISION.fullmatch(text) is not None


def check_name(name: str) -> None:
    """Refuse a name outside the rule.

    Raises:
        InvalidSupport: The name breaks `NAME_RULE`.
    """
    if not is_name(name):
        raise InvalidSupport(
            f"{name[:80]!r} cannot name a class. Use 1 to 64 letters, digits, dots, hyphens or underscores, "
            f"starting with a letter or digit ({NAME_RULE}).",
            pointer="/name",
        )


@dataclass(frozen=True, slots=True)
class ShotRecord:
    """One annotated image of a revision.

    Attributes:
        index: Position in the class, from 0.
        height: Image height in pixels, as displayed.
        width: Image width in pixels, as displayed.
        area_px: Number of marked pixels.
        bits: Depth that a 16-bit grey image is scaled by, 12 or 16.
        image_sha256: Hex sha256 of the image file as uploaded, its name among the blobs.
        mask_sha256: Hex sha256 of the mask stored as 1-bit PNG, its name among the blobs.
        pixels_sha256: Hex sha256 of the mask's size and pixels, which no PNG encoder can change.
    """

    index: int
    height: int
    width: int
    area_px: int
    bits: int
    image_sha256: str
    mask_sha256: str
    pixels_sha256: str

    @property
    def identity(self) -> tuple[str, int, str]:
        """What makes two shots the same pair: image bytes, depth and mask pixels."""
        return (self.image_sha256, self.bits, self.pixels_sha256)


@dataclass(frozen=True, slots=True)
class NormalRecord:
    """One defect-free image of a revision; attributes as in `ShotRecord`."""

    index: int
    height: int
    width: int
    bits: int
    image_sha256: str

    @property
    def identity(self) -> tuple[str, int]:
        """What makes two normals the same: image bytes and depth."""
        return (self.image_sha256, self.bits)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a user may set on a class without touching its images.

    Attributes:
        threshold: Probability in [0, 1] that overrides the suggested threshold; None keeps the suggestion.
        min_area_px: Smallest region that stays in a mask, in original pixels, at least 0.
        description: Free text, at most `MAX_DESCRIPTION` characters.
        min_score: Least score in [0, 1] of a region that stays in a mask, overriding the suggested one; None keeps the
            suggestion.

    Raises:
        MalformedRequest: A value is outside its range.
    """

    threshold: float | None = None
    min_area_px: int = 0
    description: str = ""
    min_score: float | None = None

    def __post_init__(self) -> None:
        for name in ("threshold", "min_score"):
            value = getattr(self, name)
            if value is not None:
                _check_probability(name, value)
                # 1 and 1.0 must make one revision
                object.__setattr__(self, name, float(value))
        if self.min_area_px < 0:
            raise MalformedRequest(f"min_area_px is {self.min_area_px}; give 0 or more pixels.", pointer="/min_area_px")
        if len(self.description) > MAX_DESCRIPTION:
            raise MalformedRequest(
                f"The description has {len(self.description)} characters; shorten it to {MAX_DESCRIPTION}.",
                pointer="/description",
            )


def _check_probability(name: str, value: float) -> None:
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise MalformedRequest(f"The {name} is {value}; give a probability from 0 to 1.", pointer=f"/{name}")


@dataclass(frozen=True)
class SupportClass:
    """One immutable revision of a class.

    Attributes:
        name: The class's name, by `NAME_RULE`.
        shots: Annotated images, at least one, indexed in order.
        normals: Defect-free images, indexed in order.
        parameters: What the user set.
        created_at: When the class was first registered, UTC.
        revised_at: When this revision became current, UTC.
    """

    name: str
    shots: tuple[ShotRecord, ...]
    normals: tuple[NormalRecord, ...]
    parameters: Parameters
    created_at: datetime
    revised_at: datetime = field(compare=False)

    @cached_property
    def support_digest(self) -> str:
        """Hex sha256 over shots and normals; the key of prototypes and assessments."""
        return support_digest_of(self.shots, self.normals)

    @cached_property
    def revision(self) -> str:
        """16 hex digits that name this content."""
        return revision_of(self.shots, self.normals, self.parameters)

    @property
    def blobs(self) -> frozenset[str]:
        """Names of every blob this revision needs."""
        of_shots = {sha256 for shot in self.shots for sha256 in (shot.image_sha256, shot.mask_sha256)}
        return frozenset(of_shots | {normal.image_sha256 for normal in self.normals})


def new_class(
    name: str,
    shots: Iterable[ShotRecord],
    normals: Iterable[NormalRecord],
    parameters: Parameters,
    *,
    created_at: datetime | None = None,
) -> SupportClass:
    """A revision made now, its shots and normals indexed in the order given."""
    now = datetime.now(UTC)
    return SupportClass(
        name=name,
        shots=tuple(replace(shot, index=i) for i, shot in enumerate(shots)),
        normals=tuple(replace(normal, index=i) for i, normal in enumerate(normals)),
        parameters=parameters,
        created_at=now if created_at is None else created_at,
        revised_at=now,
    )


def support_digest_of(shots: Sequence[ShotRecord], normals: Sequence[NormalRecord]) -> str:
    """Hex sha256 over the ordered shots and normals."""
    return _sha256_of_json({"shots": [s.identity for s in shots], "normals": [n.identity for n in normals]})


def revision_of(shots: Sequence[ShotRecord], normals: Sequence[NormalRecord], parameters: Parameters) -> str:
    """First 16 hex digits of a sha256 over ordered shots, normals and parameters; weights take no part."""
    content = {
        "support": support_digest_of(shots, normals),
        "threshold": parameters.threshold,
        "min_area_px": parameters.min_area_px,
        "description": parameters.description,
    }
    if parameters.min_score is not None:  # a class without one keeps the revision it had before there was any
        content["min_score"] = parameters.min_score
    return _sha256_of_json(content)[:16]


def _sha256_of_json(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
