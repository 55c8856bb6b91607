from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from lerenet.settings import PREFIX, Settings

README = Path(__file__).parents[2] / "README.md"
ROW = re.compile(rf"^\| `({PREFIX}[A-Z0-9_]+)` \| (.*?) \| (.*) \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    """Variable, default and meaning of each row of the README's table of settings."""
    return ROW.findall(README.read_text(encoding="utf-8"))


def variables() -> set[str]:
    return {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}


def test_the_readme_has_a_row_for_every_setting() -> None:
    assert sorted(variables() - {variable for variable, _, _ in rows()}) == []


def test_the_readme_has_no_row_for_a_setting_that_is_none() -> None:
    assert sorted({variable for variable, _, _ in rows()} - variables()) == []


def test_the_readme_has_each_setting_once() -> None:
    assert len(rows()) == len(Settings.model_fields)


@pytest.mark.parametrize("field", Settings.model_fields)
def test_the_readme_says_of_a_setting_what_the_setting_says_of_itself(field: str) -> None:
    declared = Settings.model_fields[field]
    [(default, meaning)] = [row[1:] for row in rows() if row[0] == f"{PREFIX}{field.upper()}"]

    assert meaning == declared.description
    if declared.default in (None, ""):
        assert default == ("unset" if declared.default is None else "empty")
    else:
        stated = default.strip("`").replace(",", "")
        assert TypeAdapter(type(declared.default)).validate_python(stated) == declared.default
