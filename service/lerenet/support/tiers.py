"""One kind of memory for prototypes: values by least recent use, under a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Tier(Generic[Value]):
    """Values with their sizes. Not thread-safe: its owner holds a lock.

    Args:
        budget_bytes: Held at most.
        n_least: Values that stay even when they exceed the budget.
    """

    def __init__(self, budget_bytes: int, *, n_least: int = 0) -> None:
        self._budget_bytes = budget_bytes
        self._n_least = n_least
        self._values: OrderedDict[str, tuple[Value, int]] = OrderedDict()
        self.held_bytes = 0
        self.n_evicted = 0

    def __len__(self) -> int:
        return len(self._values)

    def find(self, key: str) -> Value | None:
        """The value, from now on the most recently used; None when it is not held."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def hold(self, key: str, value: Value, n_bytes: int) -> None:
        """Keeps a value instead of any before it; others go, the least recently used first."""
        self._drop(key)
        self._values[key] = (value, n_bytes)
        self.held_bytes += n_bytes
        while self.held_bytes > self._budget_bytes and len(self._values) > self._n_least:
            self._drop(next(iter(self._values)))
            self.n_evicted += 1

    def retain(self, keys: Collection[str]) -> None:
        """Drops every value whose key is not named."""
        for key in [held for held in self._values if held not in keys]:
            self._drop(key)

    def _drop(self, key: str) -> None:
        _, n_bytes = self._values.pop(key, (None, 0))
        self.held_bytes -= n_bytes
