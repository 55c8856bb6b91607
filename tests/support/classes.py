"""What tests of the registry are made of: small shots, records, and a network that only counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lerenet.imaging import Image, Mask, Shot, encode_image_png
from lerenet.support import (
    Limits,
    NormalUpload,
    Parameters,
    PrototypeCache,
    ShotUpload,
    SqliteStore,
    SupportClass,
    SupportRegistry,
    SupportStore,
)
from lerenet.support.records import new_class
from lerenet.support.uploads import Contribution, hash_uploads

LIMITS = Limits()


def image(seed: int, height: int = 24, width: int = 32) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def mask(seed: int, height: int = 24, width: int = 32) -> Mask:
    marked = np.zeros((height, width), dtype=np.uint8)
    marked[1 + seed % 8 : 12, 2:20] = 1
    return marked


def shot(seed: int, mask_seed: int | None = None) -> ShotUpload:
    pixels = image(seed)
    return ShotUpload(encode_image_png(pixels), pixels, mask(seed if mask_seed is None else mask_seed))


def shots(*seeds: int) -> list[ShotUpload]:
    return [shot(seed) for seed in seeds]


def normal(seed: int) -> NormalUpload:
    pixels = image(1_000 + seed)
    return NormalUpload(encode_image_png(pixels), pixels)


def content(*seeds: int) -> Contribution:
    return hash_uploads(shots(*seeds), [])


def record(name: str, *seeds: int, parameters: Parameters | None = None) -> tuple[SupportClass, Contribution]:
    added = content(*seeds)
    return new_class(name, added.shots, added.normals, parameters or Parameters()), added


def commit(store: SupportStore, name: str, *seeds: int, expected: str | None = None, text: str = "") -> SupportClass:
    """Commit a class whose description is `text`; the pointer must be where it is expected."""
    made, added = record(name, *seeds, parameters=Parameters(description=text))
    assert store.commit(made, added.blobs, expected=expected, limits=LIMITS)
    return made


@dataclass(frozen=True)
class Encoded:
    """Stands for an encoding: how many shots and normals it was made of, and the sum of their pixels."""

    scale: float
    n_shots: int
    n_normals: int
    total: int


@dataclass(frozen=True)
class Assessed:
    threshold: float
    loo_iou: float | None
    min_score: float = 0.45
    confidence: tuple[float, float, float] = (-1.0, 0.75, 0.25)


@dataclass
class CountingNetwork:
    """Encodes and assesses without a tensor, counting; `gate` and `assess_gate` hold back until they are set."""

    threshold: float = 0.35
    n_encoded: int = 0
    n_assessed: int = 0
    gate: asyncio.Event | None = None
    assess_gate: asyncio.Event | None = None
    failures: list[Exception] = field(default_factory=list)

    async def encode(self, shots: Sequence[Shot], normals: Sequence[Image]) -> Encoded:
        self.n_encoded += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.failures:
            raise self.failures.pop(0)
        total = sum(int(s.image.sum()) + int(s.mask.sum()) for s in shots) + sum(int(n.sum()) for n in normals)
        return Encoded(0.5, len(shots), len(normals), total)

    async def assess(self, shots: Sequence[Shot], normals: Sequence[Image], encoding: Encoded) -> Assessed:
        self.n_assessed += 1
        if self.assess_gate is not None:
            await self.assess_gate.wait()
        return Assessed(self.threshold, None if len(shots) == 1 else 0.75)


def dump(encoding: Encoded) -> bytes:
    return json.dumps(vars(encoding)).encode()


def load(data: bytes) -> Encoded:
    return Encoded(**json.loads(data))


def prototype_cache(root: Path, weights: str = "w1", budget_bytes: int = 1 << 20) -> PrototypeCache[Encoded]:
    return PrototypeCache(root / "prototypes", weights, dump=dump, load=load, budget_bytes=budget_bytes)


def open_registry(
    root: Path,
    network: CountingNetwork,
    *,
    weights: str = "w1",
    limits: Limits = LIMITS,
    may_fall_back: bool = False,
    store: SupportStore | None = None,
    cache: PrototypeCache[Encoded] | None = None,
    **options: Any,
) -> SupportRegistry[Encoded]:
    """A registry of fakes over a real store, one in `root` unless given; `options` are further arguments of it."""
    return SupportRegistry(
        store or SqliteStore(root, may_fall_back=may_fall_back),
        cache or prototype_cache(root, weights),
        encode=network.encode,
        assess=network.assess,
        weights_digest=weights,
        limits=limits,
        **options,
    )


def files_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
