"""Making classes ready: prototypes and assessment under the current weights, found where possible, made once if not."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from lerenet.errors import LERENetError, RegistryError, RegistryUnreachable, UnknownClass
from lerenet.imaging import Image, Shot
from lerenet.support.answers import RegisteredClass, ResolvedClass, effective_min_score, effective_threshold
from lerenet.support.damaged import DamagedClasses, class_damaged
from lerenet.support.flights import SingleFlight
from lerenet.support.lines import StoreLines
from lerenet.support.material import DecodeImage, Material, read_material
from lerenet.support.prototypes import PrototypeCache
from lerenet.support.records import SupportClass
from lerenet.support.sharing import turn
from lerenet.support.store import AssessmentRecord, SupportStore
from lerenet.support.uploads import NO_UPLOADS, Contribution


class Scaled(Protocol):
    """An encoding that knows its working scale."""

    @property
    def scale(self) -> float:
        """Working scale, from the ladder 1, 1/2, 1/4, 1/8."""


class Assessed(Protocol):
    """What assessing a support set yields."""

    @property
    def threshold(self) -> float:
        """Suggested threshold in [0, 1]."""

    @property
    def loo_iou(self) -> float | None:
        """Leave-one-out IoU in [0, 1]; None with a single shot."""

    @property
    def min_score(self) -> float:
        """Suggested least score of a region in [0, 1]."""

    @property
    def confidence(self) -> tuple[float, float, float]:
        """Numbers that score a region."""


Encoding = TypeVar("Encoding", bound=Scaled)
Encode = Callable[[Sequence[Shot], Sequence[Image]], Awaitable[Encoding]]
Assess = Callable[[Sequence[Shot], Sequence[Image], Encoding], Awaitable[Assessed]]

_log = logging.getLogger(__name__)

WARMED_AT_ONCE = 500
"""Classes that a start asks for in one question, of disk and database."""

TIDY_S = 600.0
"""Shortest time between tidying up behind changes that other processes made, and from the start to the first, in s."""


@dataclass(frozen=True)
class Ready(Generic[Encoding]):
    """All that the current weights make of a support set."""

    encoding: Encoding
    assessment: AssessmentRecord


class Preparation(Generic[Encoding]):
    """Finds or makes what a revision needs to be used. Belongs to one event loop; arguments as in `SupportRegistry`."""

    def __init__(
        self,
        store: SupportStore,
        cache: PrototypeCache[Encoding],
        lines: StoreLines,
        *,
        encode: Encode[Encoding],
        assess: Assess[Encoding],
        weights_digest: str,
        decode: DecodeImage,
    ) -> None:
        self._store = store
        self._cache = cache
        self._lines = lines
        self._encode = encode
        self._assess = assess
        self._weights_digest = weights_digest
        self._decode = decode
        self._flights: SingleFlight[Ready[Encoding]] = SingleFlight()
        self._place = asyncio.Lock()
        self._assessments: dict[str, AssessmentRecord] = {}
        self._expected: Counter[str] = Counter()
        self._damaged = DamagedClasses()
        self._tidy_from = time.monotonic() + TIDY_S
        self._tidied: int | None = None
        self._tidying: asyncio.Task[None] | None = None

    async def ready(self, record: SupportClass, added: Contribution = NO_UPLOADS) -> Ready[Encoding]:
        """Prototypes and assessment of a revision; `added` saves reading files whose pixels are at hand."""
        assessment = self._assessments.get(record.support_digest)
        encoding = self._cache.held(record.support_digest) if assessment is not None else None
        if assessment is not None and encoding is not None:
            return Ready(encoding, assessment)
        self._damaged.check(record)
        return await self._flights.run(record.support_digest, partial(self._make_ready, record, added))

    async def warm(self, records: Sequence[SupportClass]) -> int:
        """Make what revisions lack, one after another, as far as that can be; the number of those that lack nothing.

        Prototypes that are made come into memory while there is room in it. The others wait where they are: whoever
        read them all would drop most of them again.
        """
        # replicas that start together begin with different classes, and so share the work
        in_turn = records if self._cache.shared is None else random.sample(records, len(records))
        parts = [in_turn[start : start + WARMED_AT_ONCE] for start in range(0, len(in_turn), WARMED_AT_ONCE)]
        return sum([await self._warm_some(some) for some in parts])

    async def _warm_some(self, records: Sequence[SupportClass]) -> int:
        """As `warm`. What is made is asked for all, and again where one lacks: others make the rest meanwhile."""
        digests = {record.support_digest for record in records}
        made: Collection[str] = ()
        n_ready = 0
        for record in records:
            try:
                if not self._cache.has_room and record.support_digest not in made:
                    made = await self._made(digests)
                if self._cache.has_room or record.support_digest not in made:
                    await self.ready(record)
                n_ready += 1
            except LERENetError as err:
                _log.warning("class %s is not ready: %s", record.name, err)
        return n_ready

    @property
    def damaged(self) -> DamagedClasses:
        """Revisions that could not be made ready because of a damaged file."""
        return self._damaged

    async def resolved(self, record: SupportClass) -> ResolvedClass[Encoding]:
        """A revision with its prototypes, and the threshold and least score in force."""
        ready = await self.ready(record)
        assessment = ready.assessment
        threshold, min_score = effective_threshold(record, assessment), effective_min_score(record, assessment)
        return ResolvedClass(record, ready.encoding, threshold, min_score, assessment.confidence)

    async def registered(self, record: SupportClass) -> RegisteredClass:
        """A revision with its assessment, made now if the weights are new to it."""
        assessment = await self._known_assessment(record.support_digest)
        return RegisteredClass(record, assessment or (await self.ready(record)).assessment)

    async def as_they_are(self, records: Sequence[SupportClass]) -> tuple[RegisteredClass, ...]:
        """Revisions with the assessments there are; makes none."""
        digests = [record.support_digest for record in records]
        found = await self._lines.read(self._store.assessments, digests, self._weights_digest)
        return tuple(
            RegisteredClass(r, found.get(r.support_digest) or self._assessments.get(r.support_digest)) for r in records
        )

    @contextmanager
    def expecting(self, record: SupportClass) -> Iterator[None]:
        """Protect what is made for a revision that is not stored yet from `forget_unused`."""
        self._expected[record.support_digest] += 1
        try:
            yield
        finally:
            self._expected -= Counter({record.support_digest: 1})

    def follow(self, revision: int) -> None:
        """Hear of the registry's revision: where it has moved, what is now unused goes, behind the request's back."""
        now = time.monotonic()
        if revision != self._tidied and now >= self._tidy_from:
            self._tidied, self._tidy_from = revision, now + TIDY_S
            self._tidying = asyncio.create_task(self.forget_unused())

    async def forget_unused(self) -> None:
        """Drop prototypes and assessments of content that no stored or expected revision has.

        Comes behind what is stored, and so never fails: what it leaves is dropped the next time.
        """
        try:
            await self._drop_unused()
        except Exception:
            _log.exception("prototypes that nobody uses stay until the next change")

    async def _drop_unused(self) -> None:
        used = await self._lines.read(self._store.support_digests) | set(self._expected)
        for support_digest in self._assessments.keys() - used:
            del self._assessments[support_digest]
        await asyncio.to_thread(self._cache.retain, used)

    async def close(self) -> None:
        """Cancel what is being made, and tidying."""
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
        await self._flights.close()

    async def _make_ready(self, record: SupportClass, added: Contribution) -> Ready[Encoding]:
        digest = record.support_digest
        encoding = await asyncio.to_thread(self._cache.get, digest)
        assessment = await self._known_assessment(digest)
        if encoding is None or assessment is None:
            is_made = partial(self._is_made_elsewhere, digest)
            async with turn(self._cache.shared, digest, is_made, place=self._place):
                # another replica may have made it before our turn came
                if encoding is None and await self._is_shared(digest):
                    encoding = await asyncio.to_thread(self._cache.get, digest)
                assessment = assessment or await self._known_assessment(digest)
                encoding, assessment = await self._completed(record, added, encoding, assessment)
        self._assessments[digest] = assessment
        self._damaged.forget(record)
        return Ready(encoding, assessment)

    async def _is_shared(self, support_digest: str) -> bool:
        shared = self._cache.shared
        return shared is not None and await asyncio.to_thread(shared.has, support_digest)

    async def _made(self, support_digests: Collection[str]) -> Collection[str]:
        """Those contents of which nothing is missing."""
        made = await asyncio.to_thread(self._cache.made, support_digests)
        return made & (await self._lines.read(self._store.assessments, made, self._weights_digest)).keys()

    async def _is_made_elsewhere(self, support_digest: str) -> bool:
        return await self._is_shared(support_digest) and await self._known_assessment(support_digest) is not None

    async def _completed(
        self,
        record: SupportClass,
        added: Contribution,
        encoding: Encoding | None,
        assessment: AssessmentRecord | None,
    ) -> tuple[Encoding, AssessmentRecord]:
        """Both, of which one or both may be missing."""
        if encoding is not None and assessment is not None:
            return encoding, assessment
        material = await self._material(record, added)
        if encoding is None:
            encoding = await self._encode(material.shots, material.normals)
            await asyncio.to_thread(self._cache.put, record.support_digest, encoding)
        if assessment is None:
            assessed = await self._assess(material.shots, material.normals, encoding)
            assessment = _record_of(assessed, encoding.scale)
            await self._keep_assessment(record.support_digest, assessment)
        return encoding, assessment

    async def _known_assessment(self, support_digest: str) -> AssessmentRecord | None:
        known = self._assessments.get(support_digest)
        if known is None:
            found = await self._lines.read(self._store.assessments, [support_digest], self._weights_digest)
            known = found.get(support_digest)
        return known

    async def _keep_assessment(self, support_digest: str, assessment: AssessmentRecord) -> None:
        try:
            await self._lines.write(self._store.save_assessment, support_digest, self._weights_digest, assessment)
        except RegistryError as err:
            # a full disk must not stop classes that are already registered from being used under new weights
            _log.warning("assessment of %s stays in memory only: %s", support_digest[:16], err)

    async def _material(self, record: SupportClass, added: Contribution) -> Material:
        try:
            return await asyncio.to_thread(read_material, record, added, self._store.read_blob, self._decode)
        except RegistryUnreachable:
            raise  # says nothing of the class
        except RegistryError as err:
            if await self._lines.read(self._store.revision, record.name, record.revision) is None:
                detail = f"Class {record.name!r} at {record.revision} was deleted meanwhile."
                raise UnknownClass(detail) from err
            self._damaged.note(record)
            raise class_damaged(record, err) from err


def _record_of(assessed: Assessed, scale: float) -> AssessmentRecord:
    numbers = (assessed.threshold, assessed.loo_iou, assessed.min_score)
    return AssessmentRecord(scale, *numbers, confidence=assessed.confidence)
