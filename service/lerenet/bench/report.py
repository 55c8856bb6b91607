"""What a benchmark found: figures, and whether they are what is asked of the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure and its bound.

    Attributes:
        claim: What was measured.
        measured: The figure.
        bound: What it may be at most, or must be at least.
        is_floor: Whether the bound is a least value.
    """

    claim: str
    measured: float
    bound: float
    is_floor: bool = False

    @property
    def holds(self) -> bool:
        """Whether the figure keeps the bound."""
        return self.measured >= self.bound if self.is_floor else self.measured <= self.bound

    def row(self) -> tuple[str, str, str, str]:
        """Cells of a table: claim, figure, bound, verdict."""
        sign = "at least" if self.is_floor else "at most"
        return self.claim, f"{self.measured:.3g}", f"{sign} {self.bound:.3g}", "holds" if self.holds else "missed"


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """A scenario's figures.

    Attributes:
        scenario: Its name.
        rows: Figures by name, a row a setting; every row has the same names.
        verdicts: What is asked, where something is.
    """

    scenario: str
    rows: tuple[Mapping[str, object], ...]
    verdicts: tuple[Verdict, ...] = field(default=())
