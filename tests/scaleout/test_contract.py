"""The HTTP contract once more, through Serve's proxy: tests that ask for nothing but a client are asked again here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from api import (
    test_acceptances,
    test_inspection,
    test_negotiation,
    test_problems,
    test_segment_routes,
    test_support_routes,
)

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

OF_THE_PROCESS = ("client.runtime", "client.losses", "caplog", "capture")
"""What a test that looks behind HTTP mentions."""


def asking_only(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Tests of a module whose only fixture is the client."""
    for name, test in vars(module).items():
        if not name.startswith("test_") or not callable(test):
            continue
        given = {word for mark in getattr(test, "pytestmark", ()) for word in _parameters(mark)}
        needed = set(inspect.signature(test).parameters) - given
        if needed == {"client"} and not any(each in inspect.getsource(test) for each in OF_THE_PROCESS):
            yield name, test


def _parameters(mark: pytest.Mark) -> list[str]:
    if mark.name != "parametrize":
        return []
    names = mark.args[0]
    return [each.strip() for each in names.split(",")] if isinstance(names, str) else list(names)


for _module in (
    test_acceptances,
    test_inspection,
    test_negotiation,
    test_problems,
    test_segment_routes,
    test_support_routes,
):
    globals().update(asking_only(_module))
