"""The registry of support classes as the service sees it: asynchronous, and ready to segment when it answers.

Writes go through the `ClassWriter`, which moves a pointer only once all is made: a class that can be seen can be used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic

from lerenet.errors import ClassDamaged, NoSupportClasses, RegistryError, RegistryUnreachable, UnknownClass
from lerenet.support import changes
from lerenet.support.answers import Change, ClassPage, RegisteredClass, ResolvedClass, ShotFile
from lerenet.support.audit import Listener
from lerenet.support.changes import ParameterChanges
from lerenet.support.damaged import class_damaged
from lerenet.support.faults import RESTORE
from lerenet.support.freshness import Freshness
from lerenet.support.limits import Limits
from lerenet.support.lines import StoreLines
from lerenet.support.live import LiveClasses
from lerenet.support.material import DecodeImage, decode_stored_image
from lerenet.support.ownership import Places
from lerenet.support.preparation import Assess, Encode, Encoding, Preparation
from lerenet.support.prototypes import PrototypeCache
from lerenet.support.records import Parameters, SupportClass, check_name, is_name
from lerenet.support.store import SupportStore
from lerenet.support.uploads import NormalUpload, ShotUpload, hash_uploads
from lerenet.support.writing import ClassWriter

OTHERS_BY_NAME = "Until then frames are looked at for other classes where those are named."


class SupportRegistry(Generic[Encoding]):
    """Support classes, with their prototypes, under one weights file. Belongs to one event loop.

    References are `name` or `name@revision`. `if_match` is a revision or `*`, without quotes. Every method may raise
    RegistryError when the disk fails, and whatever `encode` and `assess` raise (such as QueueFull).

    Args:
        store: Where classes live; closed by `close`.
        cache: Prototypes made with the same weights.
        encode: Shots and normals to an encoding.
        assess: Those and their encoding to a suggested threshold and least score, a confidence, a leave-one-out IoU.
        weights_digest: Names the weights, and whatever else changes what `encode` and `assess` yield.
        limits: How much is taken.
        decode: Stored image file and its `bits` to pixels.
        listeners: Told of each change on the thread that has stored it, before anybody hears that it is.
        ownership: Holds callers to their number of classes; None for any number.
    """

    def __init__(
        self,
        store: SupportStore,
        cache: PrototypeCache[Encoding],
        *,
        encode: Encode[Encoding],
        assess: Assess[Encoding],
        weights_digest: str,
        limits: Limits | None = None,
        decode: DecodeImage = decode_stored_image,
        listeners: Sequence[Listener] = (),
        ownership: Places | None = None,
    ) -> None:
        self._store = store
        self._lines = StoreLines()
        self._fresh = Freshness(store, self._lines)
        self._live = LiveClasses(store)
        self._preparation = Preparation(
            store, cache, self._lines, encode=encode, assess=assess, weights_digest=weights_digest, decode=decode
        )
        self._writer = ClassWriter(
            store,
            self._lines,
            self._fresh,
            self._live,
            self._preparation,
            limits=limits or Limits(),
            listeners=tuple(listeners),
            ownership=ownership,
        )

    async def create(
        self,
        name: str,
        shots: Sequence[ShotUpload],
        normals: Sequence[NormalUpload] = (),
        mentioned: ParameterChanges | None = None,
    ) -> Change:
        """Register a class, ready to use when this returns. The same content again changes nothing and costs nothing.

        "The same" means equal shots and normals, and equal parameters among those mentioned: a class that was tuned
        after its registration survives a client that registers it at every start.

        Raises:
            InvalidSupport: The name breaks the rule, or there is no shot.
            InvalidMask: A mask differs in size from its image, or marks nothing.
            MalformedRequest: A parameter is outside its range.
            LimitExceeded: Too many images, or too many classes.
            ClassExists: The name holds other content.
        """
        check_name(name)
        added = await asyncio.to_thread(hash_uploads, shots, normals)
        derive = changes.creation(name, added, mentioned or ParameterChanges())
        return await self._writer.revise("create", name, derive, added)

    async def put(
        self,
        name: str,
        shots: Sequence[ShotUpload],
        normals: Sequence[NormalUpload] = (),
        parameters: Parameters | None = None,
        *,
        if_match: str | None = None,
        if_none_match: str | None = None,
    ) -> Change:
        """Create or replace a class whole; parameters not given return to their defaults.

        Raises:
            PreconditionFailed: The current revision is not the one of `if_match`, or is the one of `if_none_match`.
            InvalidSupport, InvalidMask, LimitExceeded: As in `create`.
        """
        check_name(name)
        added = await asyncio.to_thread(hash_uploads, shots, normals)
        derive = changes.replacement(name, added, parameters or Parameters(), if_match, if_none_match)
        return await self._writer.revise("put", name, derive, added)

    async def append(
        self,
        name: str,
        shots: Sequence[ShotUpload] = (),
        normals: Sequence[NormalUpload] = (),
        *,
        if_match: str | None = None,
    ) -> Change:
        """Add shots or normals. Those the class already has are passed over, so that a request may be sent again.

        Raises:
            UnknownClass: Nobody registered the name.
            PreconditionFailed: The class is at another revision than `if_match`.
            InvalidMask, LimitExceeded: As in `create`.
        """
        added = await asyncio.to_thread(hash_uploads, shots, normals)
        derive = changes.addition(name, added, if_match)
        return await self._writer.revise("append", name, derive, added)

    async def drop_shot(self, name: str, index: int, *, if_match: str | None = None) -> Change:
        """Remove one shot by position; those behind it move up.

        Raises:
            UnknownClass: No such class or shot.
            InvalidSupport: It is the only shot.
            PreconditionFailed: The class is at another revision than `if_match`.
        """
        return await self._writer.revise("drop_shot", name, changes.removal(name, index, if_match))

    async def patch(self, name: str, mentioned: ParameterChanges, *, if_match: str | None = None) -> Change:
        """Change parameters; prototypes are not touched. None returns to the suggested value.

        Raises:
            UnknownClass: Nobody registered the name.
            MalformedRequest: A parameter is outside its range.
            PreconditionFailed: The class is at another revision than `if_match`.
        """
        return await self._writer.revise("patch", name, changes.tuning(name, mentioned, if_match))

    async def delete(self, name: str, *, if_match: str | None = None) -> None:
        """Forget a class with all its revisions, its prototypes, and the images that nobody else uses.

        Raises:
            UnknownClass: Nobody registered the name.
            PreconditionFailed: The class is at another revision than `if_match`.
        """
        await self._writer.delete(name, if_match)

    async def get(self, reference: str) -> RegisteredClass:
        """A class as it is now, or one of its revisions that stay; assessed first when the weights are new.

        Raises:
            UnknownClass: No such class or revision.
        """
        return await self._preparation.registered(await self._fresh.read(self._live.find, reference))

    async def list(self, cursor: str | None = None, limit: int = 100) -> ClassPage:
        """At most `limit` classes in order of name, from behind the cursor. Assesses nothing: see `is_ready`."""
        page = await self._fresh.read(self._store.page, cursor, limit)
        return ClassPage(await self._preparation.as_they_are(page.classes), page.next)

    async def count(self) -> int:
        """Number of classes."""
        return len(await self._lines.look(self._live.read))

    async def revisions(self, name: str) -> Sequence[str]:
        """Revisions of a class that stay, newest first.

        Raises:
            UnknownClass: Nobody registered the name.
        """
        found = await self._lines.read(self._store.revisions, name) if is_name(name) else ()
        if not found:
            changes.required(name, None)
        return found

    async def shot_image(self, reference: str, index: int) -> ShotFile:
        """The image file of a shot, as it was uploaded.

        Raises:
            UnknownClass: No such class, revision or shot.
        """
        record = await self._fresh.read(self._live.find, reference)
        return await self._file(record, changes.shot_at(record, index).image_sha256)

    async def shot_mask(self, reference: str, index: int) -> ShotFile:
        """The mask of a shot as 1-bit PNG; errors as in `shot_image`."""
        record = await self._fresh.read(self._live.find, reference)
        return await self._file(record, changes.shot_at(record, index).mask_sha256)

    async def _file(self, record: SupportClass, sha256: str) -> ShotFile:
        try:
            return ShotFile(await self._lines.read(self._store.read_blob, sha256), record.revision)
        except RegistryUnreachable:
            raise  # says nothing of the class
        except RegistryError as err:
            raise class_damaged(record, err) from err

    async def resolve(self, references: Sequence[str] | None = None) -> Sequence[ResolvedClass[Encoding]]:
        """Everything that segmentation needs of the classes named, in that order, or of all in order of name.

        A class twice is given once. Classes whose prototypes are in memory cost one look at the store together.
        Whoever names none wants all: a damaged one is an error, for a frame must not pass because of it.

        Raises:
            NoSupportClasses: None were named and none are registered.
            UnknownClass: A named class or revision does not exist.
            ClassDamaged: One of them cannot be used; others can, by their names.
        """
        self._preparation.follow(self._fresh.known)
        if references:
            records = await self._find_all(references)
            return [await self._preparation.resolved(record) for record in records]
        records = list((await self._fresh.look(self._live.read)).values())
        if self._store.doubtful:
            names = ", ".join(sorted(self._store.doubtful))
            raise ClassDamaged(f"The manifests of these classes are damaged: {names}. {RESTORE} {OTHERS_BY_NAME}")
        resolved = await self._resolved_still_there(records)
        if not resolved:
            raise NoSupportClasses("No support class is registered yet. Register one from 1 to 10 marked images first.")
        return resolved

    async def _find_all(self, references: Sequence[str]) -> Sequence[SupportClass]:
        """The revisions of several references, in order, each once; only those unknown here are asked for."""
        known = dict(await self._fresh.look(self._live.look_up, references))
        for reference in references:
            if reference not in known:  # not dated anew: the others are as old as the look
                known[reference] = await self._lines.read(self._live.find, reference)
        return list({(each.name, each.revision): each for each in map(known.__getitem__, references)}.values())

    async def at_least(self, revision: int) -> None:
        """Wait until whatever is read from now on shows every change up to a revision of the registry.

        Raises:
            RegistryBehind: It does not come within two seconds.
        """
        await self._fresh.at_least(revision)

    @property
    def known_revision(self) -> int:
        """The registry's revision at the last look at it, by whichever request; 0 before the first."""
        return self._fresh.known

    async def unavailable(self) -> Sequence[str]:
        """Names, in order, of classes that are registered, but found damaged when they were last to be used."""
        live = await self._lines.look(self._live.read)
        return sorted([*self._preparation.damaged.among(live), *self._store.doubtful])

    def write_trouble(self) -> RegistryError | None:
        """Why writes would be refused now, as far as can be told without a write; a system call or two."""
        return self._store.trouble

    async def warm(self) -> int:
        """Make what is missing for the current weights, one class after another; the number that lack nothing now."""
        return await self._preparation.warm(list((await self._lines.look(self._live.read)).values()))

    async def close(self) -> None:
        """Cancel encodings under way, end the worker threads, close the store."""
        await self._preparation.close()
        await asyncio.to_thread(self._lines.close)
        await asyncio.to_thread(self._store.close)

    async def _resolved_still_there(self, records: Sequence[SupportClass]) -> Sequence[ResolvedClass[Encoding]]:
        resolved = []
        for record in records:
            try:
                resolved.append(await self._preparation.resolved(record))
            except UnknownClass:
                pass  # deleted since the request began: who asks for all classes did not ask for this one
            except ClassDamaged as err:
                raise ClassDamaged(f"{err.detail} {OTHERS_BY_NAME}") from err
        return resolved
