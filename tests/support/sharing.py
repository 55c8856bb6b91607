"""Replicas that share prototypes: in memory, or in a database."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from lerenet.support import PrototypeCache, SupportRegistry, SupportStore
from lerenet.support.sharing import Claim, SharedPrototypes
from support.classes import LIMITS, CountingNetwork, Encoded, dump, load

Share = Callable[[str], SharedPrototypes]
"""Makes a replica's view of what is shared, by what makes its prototypes."""


class Memory:
    """What `MemoryPrototypes` share."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}
        self.claims: dict[tuple[str, str], object] = {}


class MemoryPrototypes:
    """A `SharedPrototypes` of one process."""

    def __init__(self, memory: Memory, made_by: str) -> None:
        self._memory = memory
        self._made_by = made_by

    def find(self, support_digest: str) -> bytes | None:
        return self._memory.kept.get((self._made_by, support_digest))

    def has(self, support_digest: str) -> bool:
        return self.find(support_digest) is not None

    def among(self, support_digests: Collection[str]) -> set[str]:
        return {digest for digest in support_digests if self.has(digest)}

    def keep(self, support_digest: str, payload: bytes) -> None:
        self._memory.kept[self._made_by, support_digest] = payload

    def retain(self, support_digests: Collection[str]) -> None:
        pass  # all of it is new

    def claim(self, support_digest: str) -> Claim:
        holder = self._memory.claims.setdefault((self._made_by, support_digest), self)
        return "ours" if holder is self else "others"

    def release(self, support_digest: str) -> None:
        if self._memory.claims.get((self._made_by, support_digest)) is self:
            del self._memory.claims[self._made_by, support_digest]


def replica(
    store: SupportStore, root: Path, network: CountingNetwork, shared: SharedPrototypes, budget_bytes: int = 1 << 20
) -> tuple[SupportRegistry[Encoded], PrototypeCache[Encoded]]:
    """A registry with a folder of its own, and its cache."""
    cache = PrototypeCache(root / "prototypes", "w1", dump=dump, load=load, budget_bytes=budget_bytes, shared=shared)
    registry = SupportRegistry(
        store, cache, encode=network.encode, assess=network.assess, weights_digest="w1", limits=LIMITS
    )
    return registry, cache
