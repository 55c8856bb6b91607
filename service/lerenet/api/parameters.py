"""Parameters of requests, whether they come in the query, in a form or in a JSON body. Unknown ones are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar, cast, get_origin

from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from lerenet.api.inspection import InspectionParameters
from lerenet.api.masks import MaskFormat
from lerenet.runtime import SegmentationQuery
from lerenet.support import NAME_RULE, UNSET, ParameterChanges, Parameters

Model = TypeVar("Model", bound=BaseModel)


def _listed(references: list[str]) -> list[str]:
    """Repeated and comma-separated values as one list."""
    split = [reference.strip() for listed in references for reference in listed.split(",")]
    if not all(split):
        raise ValueError("a class name is empty; leave `classes` out to find all classes")
    return split


def _box(roi: str) -> str:
    if min(int(side) for side in roi.split(",")[2:]) < 1:
        raise ValueError("w and h are at least 1")
    return roi


def _depth(bits: object) -> object:
    return int(bits) if isinstance(bits, str) and bits.isdecimal() else bits


Threshold = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="Probability from which a pixel is marked")
]
MinArea = Annotated[int, Field(ge=0, le=2**31, description="Regions of fewer pixels are left out")]
MinScore = Annotated[
    float, Field(ge=0, le=1, allow_inf_nan=False, description="Regions that are less surely right are left out")
]
Bits = Annotated[
    Literal[12, 16],
    BeforeValidator(_depth),
    Field(description="Depth of 16-bit grey images: 12 for cameras that leave the upper four bits empty"),
]


class Strict(BaseModel):
    """Parameters that refuse unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SegmentParameters(Strict, InspectionParameters):
    """What `/segment` takes beside images, in the query or as form fields."""

    classes: Annotated[
        list[str],
        AfterValidator(_listed),
        Field(
            default_factory=list,
            description="Classes to find, as `name` or `name@revision`; repeated or comma-separated. Default: all",
            examples=[["scratches"]],
        ),
    ]
    threshold: Annotated[Threshold | None, Field(description="Instead of each class's own")] = None
    min_area_px: Annotated[MinArea | None, Field(description="Instead of each class's own")] = None
    min_score: Annotated[MinScore | None, Field(description="Instead of each class's own")] = None
    roi: Annotated[
        str | None,
        Field(
            pattern=r"^\d{1,6},\d{1,6},\d{1,6},\d{1,6}$",
            description="`x,y,w,h` in pixels as displayed: only this part of each image is looked at",
            examples=["0,0,640,480"],
        ),
        AfterValidator(lambda roi: roi if roi is None else _box(roi)),
    ] = None
    format: Annotated[MaskFormat, Field(description="The mask inside the JSON")] = "coco_rle"
    bits: Bits = 16

    def query(self) -> SegmentationQuery:
        """The same for the runtime."""
        roi = None if self.roi is None else cast(tuple[int, int, int, int], tuple(map(int, self.roi.split(","))))
        return SegmentationQuery(tuple(self.classes), self.threshold, self.min_area_px, roi, self.bits, self.min_score)


class ShotParameters(Strict):
    """What a request that sends shots takes beside files."""

    annotations: Annotated[str | None, Field(description="JSON instead of `masks`, one entry per image")] = None
    bits: Bits = 16


class ClassParameters(Strict):
    """What may be set on a class, each independently."""

    threshold: Annotated[Threshold | None, Field(description="null returns to the suggested one")] = None
    min_area_px: MinArea = 0
    min_score: Annotated[MinScore | None, Field(description="null returns to the suggested one")] = None
    description: Annotated[str, Field(max_length=2_000)] = ""

    def mentioned(self) -> ParameterChanges:
        """Those that were sent, and no others."""
        sent = self.model_fields_set
        return ParameterChanges(
            threshold=self.threshold if "threshold" in sent else UNSET,
            min_area_px=self.min_area_px if "min_area_px" in sent else UNSET,
            description=self.description if "description" in sent else UNSET,
            min_score=self.min_score if "min_score" in sent else UNSET,
        )

    def complete(self) -> Parameters:
        """All of them; those not sent have their defaults."""
        return Parameters(self.threshold, self.min_area_px, self.description, self.min_score)


class ReplacementParameters(ClassParameters, ShotParameters):
    """What `PUT /support/{name}` takes beside files."""


class CreationParameters(ReplacementParameters):
    """What `POST /support` takes beside files."""

    name: Annotated[str, Field(description="Letters, digits, `.`, `_`, `-`; 64 at most, the first a letter or digit")]


class PageParameters(Strict):
    """Which page of the classes."""

    cursor: Annotated[str | None, Field(pattern=f"^({NAME_RULE})?$", description="`next` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=1_000)] = 100


class NoParameters(Strict):
    """A route without a query."""


def query_values(model: type[BaseModel], query: QueryParams) -> dict[str, str | list[str]]:
    """A query as `model` takes it: of what is given several times all where a list is asked for, else the last."""
    values: dict[str, str | list[str]] = dict(query)
    for name, field in model.model_fields.items():
        if name in values and get_origin(field.annotation) is list:
            values[name] = query.getlist(name)
    return values


def validated(model: type[Model], values: dict[str, Any]) -> Model:
    """Values of a form or JSON body as a model.

    Raises:
        RequestValidationError: With every fault in it.
    """
    try:
        return model.model_validate(values)
    except ValidationError as err:
        faults = err.errors(include_url=False, include_context=False)
        raise RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in faults]) from err
