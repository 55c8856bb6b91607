"""The HTTP contract as tests that need nothing but a client: to be asked of whatever stands before the service."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

MODULES = tuple(
    import_module(f"api.test_{name}")
    for name in ("acceptances", "inspection", "negotiation", "problems", "segment_routes", "support_routes")
)

OF_THE_PROCESS = ("client.runtime", "client.losses", "caplog", "capture")
"""What a test that looks behind HTTP mentions."""


def asked_again() -> dict[str, Callable[..., Any]]:
    """Every test that a client is all it needs for, by name."""
    return {name: test for module in MODULES for name, test in asking_only(module)}


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


def first_of_each(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Tests to run, and those that only repeat one of them with other parameters: the way through is the same."""
    again = [each for each in items if each.path.name == "test_contract.py" and _is_repetition(each)]
    return [each for each in items if each not in again], again


def _is_repetition(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and hasattr(item, "callspec") and any(item.callspec.indices.values())
