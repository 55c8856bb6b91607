"""What a registry has promised, against what it holds after a kill."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ABSENT = "-"


@dataclass
class Promises:
    """Revision by name as last acknowledged, `ABSENT` for a deleted one, and the writes that were cut off.

    Attributes:
        revisions: Acknowledged.
        begun: Verb by name of writes that were begun and not answered.
        n_acknowledged: Writes.
        lost: A sentence for each promise that was broken.
    """

    revisions: dict[str, str] = field(default_factory=dict)
    begun: dict[str, str] = field(default_factory=dict)
    n_acknowledged: int = 0
    lost: list[str] = field(default_factory=list)

    def begin(self, name: str, verb: str) -> None:
        self.begun[name] = verb

    def finish(self, name: str, revision: str) -> None:
        self.begun.pop(name, None)
        self.revisions[name] = revision
        self.n_acknowledged += 1

    def hear(self, lines: Iterable[str]) -> None:
        """Takes `begun|done NAME VERB REVISION` lines; one that the kill cut short was not heard."""
        for line in lines:
            match line.removesuffix("\n").split(" ") if line.endswith("\n") else []:
                case ["begun", name, verb, _]:
                    self.begin(name, verb)
                case ["done", name, _, revision]:
                    self.finish(name, revision)

    def compare(self, held: Mapping[str, str]) -> None:
        """Counts what is lost, and goes on from what is held where a write was cut off."""
        for name in self.revisions.keys() | held.keys() | self.begun.keys():
            promised, found = self.revisions.get(name, ABSENT), held.get(name, ABSENT)
            if found != promised and not self._may_be(name, promised, found):
                self.lost.append(f"{name}: {promised} was acknowledged, {found} is there")
            self.revisions[name] = found
        self.begun.clear()

    def _may_be(self, name: str, promised: str, found: str) -> bool:
        """Whether a write that was cut off explains the difference."""
        verb = self.begun.get(name)
        if verb == "delete":
            return found == ABSENT
        return verb is not None and found != ABSENT
