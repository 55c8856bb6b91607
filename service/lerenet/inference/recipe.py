"""Names the code that makes prototypes and thresholds out of a support set, so that no release reads stale ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from lerenet import __version__

PARTS = {
    "lerenet.network": ("",),
    "lerenet.inference": (
        "assessment",
        "confidence",
        "crops",
        "encodings",
        "fitting",
        "geometry",
        "regions",
        "reliability",
        "runner",
        "scale",
        "segmenter",
        "support_view",
        "tiles",
        "trials",
    ),
}
"""Packages, and the modules that count: those whose names begin so."""

DIGITS = 8


@cache
def recipe_digest() -> str:
    """Digest of the sources that decide an encoding or its assessment, 8 hex digits.

    Any change of them counts, also one of a comment: prototypes are made again in seconds, and nobody has to remember
    a version number. The release counts too, for where the sources are not installed.
    """
    return _digest([("release", __version__.encode()), *_sources()])


def _sources() -> Iterable[tuple[str, bytes]]:
    for package, names in PARTS.items():
        found = [source for source in files(package).iterdir() if source.name.endswith(".py")]
        for source in sorted(found, key=lambda source: source.name):
            if source.name.startswith(names):
                yield f"{package}/{source.name}", source.read_bytes()


def _digest(sources: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, text in sources:
        digest.update(f"{name} {len(text)} ".encode() + text)
    return digest.hexdigest()[:DIGITS]
