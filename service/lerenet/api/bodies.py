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
