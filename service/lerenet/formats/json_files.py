"""JSON files of other tools, of which nothing is taken for granted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from lerenet.errors import DatasetError
from lerenet.formats.polygons import is_corner

MAX_FILE_BYTES = 512 << 20
"""Of one file: as Python objects it takes several times as much."""

Value = TypeVar("Value")


def load_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        DatasetError: It is too large, or not JSON.
        OSError: It cannot be read.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DatasetError(f"{path} has more than {MAX_FILE_BYTES} bytes: split it into several files")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as err:
        raise DatasetError(f"{path} is not JSON: {err}") from err


def required(record: Any, name: str, kind: type[Value], where: str) -> Value:
    """A field that must be there.

    Raises:
        DatasetError: It is not, or of another type; the detail names `where` and the field.
    """
    value = record.get(name) if isinstance(record, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise DatasetError(f"{where}: {name} is {value!r:.40}, where {_KINDS.get(kind, kind.__name__)} belongs")
    return value


def number(record: Any, name: str, where: str) -> float:
    """A number that must be there, and not be huge; raises as `required` does."""
    value: Any = record.get(name) if isinstance(record, dict) else None
    if not is_corner(value):
        raise DatasetError(f"{where}: {name} is {value!r:.40}, where a number belongs")
    return float(value)


def size_px(record: Any, height: str, width: str, where: str) -> tuple[int, int]:
    """(H, W) in pixels from two fields.

    Raises:
        DatasetError: They are not there, or not positive.
    """
    sides = required(record, height, int, where), required(record, width, int, where)
    if min(sides) < 1:
        raise DatasetError(f"{where}: {height} and {width} are {sides[0]} and {sides[1]}; they are 1 px or more")
    return sides


_KINDS: dict[type, str] = {str: "a text", int: "an integer", list: "a list", dict: "an object"}
