"""What a line says about its frames: where, which part, when and whatever else. Echoed and logged, never acted on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, Field

MAX_TEXT = 128
MAX_FIELDS, MAX_FIELD_NAME, MAX_FIELD_TEXT, MAX_FIELDS_TEXT = 32, 64, 512, 4_096
MAX_LOGGED = 1_024
MAX_INTEGER = 2**53  # beyond, JavaScript reads another number

Value = str | int | float | bool | None
_NAMED = ("station", "part", "timestamp")


def _printable(text: str | None) -> str | None:
    if text is not None and not text.isprintable():
        raise ValueError("it holds line breaks or other control characters: leave them out")
    return text


def _instant(text: str | None) -> str | None:
    if text is not None:
        try:
            datetime.fromisoformat(text)
        except ValueError as err:
            detail = "no ISO 8601 time: write 2026-03-02T08:15:30Z; in a query + is %2B"
            raise ValueError(detail) from err
    return text


def _object(text: str | None) -> str | None:
    if text is not None:
        _fields(text)
    return text


Name = Annotated[str | None, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_printable)]


class InspectionParameters(BaseModel):
    """Inspection metadata of a request, all of it optional."""

    station: Annotated[Name, Field(description="Where the frames were taken", examples=["press-3"])] = None
    part: Annotated[Name, Field(description="What they show", examples=["coil-000417"])] = None
    timestamp: Annotated[
        str | None,
        Field(max_length=64, description="When they were taken: ISO 8601", examples=["2026-03-02T08:15:30Z"]),
        AfterValidator(_instant),
    ] = None
    metadata: Annotated[
        str | None,
        Field(
            max_length=MAX_FIELDS_TEXT,
            description=f"A JSON object of up to {MAX_FIELDS} fields of your own: texts, numbers, true, false, null",
            examples=['{"shift": "late", "exposure_ms": 4.5}'],
        ),
        AfterValidator(_object),
    ] = None

    def inspection(self) -> dict[str, Value]:
        """What was sent, as one object."""
        named = {name: getattr(self, name) for name in _NAMED}
        free = {} if self.metadata is None else _fields(self.metadata)
        return {**{name: value for name, value in named.items() if value is not None}, **free}


def as_logged(metadata: Mapping[str, Value]) -> str:
    """Metadata on one line of bounded length."""
    return json.dumps(metadata)[:MAX_LOGGED]


def _fields(text: str) -> dict[str, Value]:
    try:
        fields = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as err:
        raise ValueError("it is nested too deeply: send an object of texts and numbers") from err
    except ValueError as err:
        raise ValueError(f"no JSON ({err}): send an object") from err
    if not isinstance(fields, dict):
        raise ValueError(f"a JSON {type(fields).__name__}: send an object")
    if len(fields) > MAX_FIELDS:
        raise ValueError(f"{len(fields)} fields: {MAX_FIELDS} at most; join some of them")
    for name, value in fields.items():
        _check(name, value)
    return fields


def _check(name: str, value: Any) -> None:
    if name in _NAMED:
        raise ValueError(f"{name} has a parameter of its own: send it there")
    if not 1 <= len(name) <= MAX_FIELD_NAME or not name.isprintable():
        raise ValueError(f"a field is named {name!r:.80}: 1 to {MAX_FIELD_NAME} printable characters")
    if isinstance(value, list | dict):
        raise ValueError(f"{name} is a JSON {type(value).__name__}: send a text, a number, true, false or null")
    if isinstance(value, str) and (len(value) > MAX_FIELD_TEXT or not _is_text(value)):
        raise ValueError(f"{name} is no Unicode text of at most {MAX_FIELD_TEXT} characters")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise ValueError(f"{name} is beyond 2^53: send it as a text")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"{name} is not finite: send a text or null")


def _is_text(value: str) -> bool:
    """Whether it can be written: JSON can spell halves of characters."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
