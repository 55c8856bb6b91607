"""Bodies of answers, exactly as documented: sizes are (H, W), boxes [x, y, w, h] in original pixels as displayed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from lerenet.api.bodies import Body, Box, Fraction
from lerenet.api.inspection import Value
from lerenet.api.masks import MaskBody
from lerenet.support import RegisteredClass


class ShotBody(Body):
    """One marked image of a class."""

    index: int
    height: int
    width: int
    area_px: int = Field(description="Marked pixels")


class Quality(Body):
    """How well the shots of a class predict each other."""

    loo_iou: Fraction = Field(description="IoU of each shot segmented by the others, pooled; fitting flatters it")


class SupportClassBody(Body):
    """A support class at one revision."""

    name: str
    revision: str = Field(description="16 hex digits over images, masks, normals and parameters; also the ETag")
    created_at: datetime
    revised_at: datetime
    description: str
    shots: list[ShotBody]
    normals: int = Field(description="Number of defect-free images")
    threshold: Fraction = Field(description="The one in force: yours, else the suggested one")
    suggested_threshold: Fraction | None
    min_area_px: int
    min_score: Fraction = Field(description="Least score of a region; the one in force: yours, else the suggested one")
    suggested_min_score: Fraction | None
    scale: float | None = Field(description="Working scale: 1, 0.5, 0.25 or 0.125")
    quality: Quality | None = Field(description="null for a single shot")

    @classmethod
    def of(cls, registered: RegisteredClass) -> Self:
        """The body of a class."""
        record, assessment = registered.record, registered.assessment
        return cls(
            name=record.name,
            revision=record.revision,
            created_at=record.created_at,
            revised_at=record.revised_at,
            description=record.parameters.description,
            shots=[ShotBody(index=s.index, height=s.height, width=s.width, area_px=s.area_px) for s in record.shots],
            normals=len(record.normals),
            threshold=registered.threshold,
            suggested_threshold=None if assessment is None else assessment.threshold,
            min_area_px=record.parameters.min_area_px,
            min_score=registered.min_score,
            suggested_min_score=None if assessment is None else assessment.min_score,
            scale=registered.scale,
            quality=None if registered.loo_iou is None else Quality(loo_iou=registered.loo_iou),
        )


class ClassList(Body):
    """A page of classes in order of name."""

    classes: list[SupportClassBody]
    next: str | None = Field(description="Cursor of the following page")


class RegionBody(Body):
    """An 8-connected region of a mask."""

    bbox: Box
    area_px: int
    score: Fraction = Field(description="Probability that the region is right: the share of such regions that are")


class ClassResult(Body):
    """What one image shows of one class."""

    name: str
    revision: str
    score: Fraction = Field(description="Highest score of a region, even if left out; without any, of the surest pixel")
    threshold: Fraction
    min_score: Fraction
    area_px: int
    area_fraction: Fraction
    bbox: Box | None
    regions: list[RegionBody]
    mask: MaskBody | None


class FrameResult(Body):
    """What was found in one image."""

    index: int
    filename: str | None
    height: int
    width: int
    classes: list[ClassResult]


class SegmentBody(Body):
    """The answer to a segmentation."""

    request_id: str | None
    weights: str | None = Field(description="Sha256 of the weights file")
    metadata: dict[str, Value] = Field(default_factory=dict, description="Inspection metadata of the request")
    results: list[FrameResult]


class Health(Body):
    """The answer to a probe."""

    status: Literal["live", "ready"]
    warnings: list[str] = Field([], description="What an operator should see to, although requests are answered")


class Readiness(Health):
    """Requests are answered; what else there is to know."""

    registry: Literal["writable", "read_only", "full"] = Field(
        description="Whether registrations can be kept now; frames are segmented in any case"
    )
    unavailable: list[str] = Field(description="Classes that cannot be used, because a stored file is damaged")
    detail: str = Field(description="What to do about it; empty when all is well")


class LimitsBody(Body):
    """What is taken, and for how long it is worked on."""

    max_body_bytes: int
    max_image_pixels: int
    max_image_side_px: int
    max_images: int
    max_request_pixels: int = Field(description="Pixels of all images of a request together")
    max_shots: int
    max_normals: int
    max_classes: int
    deadline_s: float
    registration_deadline_s: float
    image_types: list[str]
    formats: list[str]


class VersionBody(Body):
    """What is running; all but the version is null until the weights are loaded."""

    version: str
    weights: str | None = None
    preset: str | None = None
    device: str | None = None
    precision: str | None = None
    torch: str | None = None
