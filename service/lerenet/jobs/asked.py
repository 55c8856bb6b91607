"""What a folder job asks of every frame; one results folder holds answers to one question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, Self

from lerenet.client import Client
from lerenet.errors import NoSupportClasses


@dataclass(frozen=True)
class Asked:
    """The question, with every class at a fixed revision, so that a class changed half way changes no later file.

    Attributes:
        references: Classes as `name@revision`.
        classes: The same as they were asked for; None for all.
        threshold: Instead of each class's own, 0 to 1.
        min_area_px: Instead of each class's own.
        bits: Depth of 16-bit grey images.
        metadata: Of the inspection, sent with each frame.
    """

    references: tuple[str, ...]
    classes: tuple[str, ...] | None = None
    threshold: float | None = None
    min_area_px: int | None = None
    bits: Literal[12, 16] = 16
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        client: Client,
        classes: Sequence[str] | None = None,
        *,
        threshold: float | None = None,
        min_area_px: int | None = None,
        bits: Literal[12, 16] = 16,
        metadata: Mapping[str, str] | None = None,
    ) -> Self:
        """The question at the revisions that the service has now.

        Raises:
            NoSupportClasses: All classes are asked for, and there are none.
            ServiceError: The service does not know a class, or does not answer.
        """
        found = client.classes() if classes is None else [client.get(reference) for reference in classes]
        if not found:
            raise NoSupportClasses(f"no class is registered at {client.url}: register one, then segment")
        references = dict.fromkeys(f"{each.name}@{each.revision}" for each in found)
        named = None if classes is None else tuple(classes)
        return cls(tuple(references), named, threshold, min_area_px, bits, dict(metadata or {}))

    @property
    def labels(self) -> dict[str, str]:
        """What the class behind each reference is called in the results: its name, where no other has the same."""
        names = Counter(map(_name, self.references))
        return {each: _name(each) if names[_name(each)] == 1 else each for each in self.references}

    def document(self) -> dict[str, Any]:
        """The question as JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def differences(self, earlier: dict[str, Any]) -> Iterator[str]:
        """What an earlier question, as `document` gives it, asked otherwise; how classes were named does not matter."""
        now = self.document()
        for name in (each.name for each in fields(self) if each.name != "classes"):
            if now[name] != earlier.get(name):
                yield f"{name} was {_words(earlier.get(name))} and is {_words(now[name])}"


def _name(reference: str) -> str:
    return reference.partition("@")[0]


def _words(value: Any) -> str:
    if value is None:
        return "not set"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
