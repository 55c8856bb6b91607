"""What every answer is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Box = Annotated[
    tuple[int, int, int, int],
    Field(description="[x, y, w, h] in pixels of the image as displayed", examples=[[12, 40, 90, 7]]),
]


class Body(BaseModel):
    """An answer: frozen, and every field written down."""

    model_config = ConfigDict(frozen=True)


class ProblemPart(Body):
    """One fault in a request."""

    pointer: str = Field(description="Where, as a JSON pointer: `/images/3` is the fourth image")
    detail: str


class Problem(Body):
    """A refusal or failure, by RFC 9457."""

    type: str = Field(examples=["/problems/invalid-mask"])
    title: str
    status: int
    detail: str = Field(description="What happened, the limit, and what to do")
    instance: str
    code: str = Field(description="Stable word for programs", examples=["invalid_mask"])
    request_id: str | None
    errors: list[ProblemPart]
