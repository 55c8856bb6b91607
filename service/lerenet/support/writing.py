"""Changes of classes: derived, made ready, stored.

All follow one path whatever their verb: a pure function of `changes` derives the next revision from the current one,
its prototypes and assessment are made (or found), and only then the pointer moves, by compare-and-set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import Generic
from weakref import WeakValueDictionary

from lerenet.errors import PreconditionFailed
from lerenet.support import changes
from lerenet.support.answers import Change, RegisteredClass
from lerenet.support.audit import Listener, RegistryChange, Verb, noting
from lerenet.support.freshness import Freshness
from lerenet.support.limits import Limits
from lerenet.support.lines import StoreLines
from lerenet.support.live import LiveClasses
from lerenet.support.ownership import Places
from lerenet.support.preparation import Encoding, Preparation
from lerenet.support.records import SupportClass, is_name
from lerenet.support.store import SupportStore
from lerenet.support.uploads import NO_UPLOADS, Contribution

MAX_ATTEMPTS = 8
"""How often a write without precondition starts again because another process was quicker."""


class ClassWriter(Generic[Encoding]):
    """Writes of a registry, whose arguments these are. Belongs to one event loop."""

    def __init__(
        self,
        store: SupportStore,
        lines: StoreLines,
        fresh: Freshness,
        live: LiveClasses,
        preparation: Preparation[Encoding],
        *,
        limits: Limits,
        listeners: Sequence[Listener],
        ownership: Places | None,
    ) -> None:
        self._store = store
        self._lines = lines
        self._fresh = fresh
        self._live = live
        self._preparation = preparation
        self._limits = limits
        self._listeners = listeners
        self._ownership = ownership
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def revise(self, what: Verb, name: str, derive: changes.Derive, added: Contribution = NO_UPLOADS) -> Change:
        """Make what `derive` makes of the current revision, if any, the current one.

        Args:
            what: The registry's word for it.
            name: Of the class.
            derive: Current revision to next; the same object changes nothing.
            added: Files that the next one may need.

        Raises:
            PreconditionFailed: Other processes were quicker time and again.
            LERENetError: What `derive`, preparation and the limits raise.
        """
        async with self._turn(name):
            for _ in range(MAX_ATTEMPTS):
                current = await self._current(name)
                draft = derive(current)
                if draft is current:
                    await self._mend(draft, added)
                    return Change(await self._preparation.registered(draft), is_created=False, is_changed=False)
                await self._check_limits(current, draft)
                async with self._place_of(name, current):
                    registered = await self._commit(what, current, draft, added)
                if registered is not None:
                    return Change(registered, is_created=current is None, is_changed=True)
            raise PreconditionFailed(f"Class {name!r} was changed {MAX_ATTEMPTS} times meanwhile. Try again.")

    async def delete(self, name: str, if_match: str | None) -> None:
        """Forget a class; raises as the registry's `delete`."""
        async with self._turn(name):
            for _ in range(MAX_ATTEMPTS):
                current = changes.required(name, await self._current(name), if_match)
                change = RegistryChange("delete", name, current.revision, None)
                delete = partial(self._store.delete, name, expected=current.revision)
                if await self._fresh.write(noting(change, delete, self._listeners)):
                    await self._preparation.forget_unused()
                    return
            raise PreconditionFailed(f"Class {name!r} was changed {MAX_ATTEMPTS} times meanwhile. Try again.")

    async def _current(self, name: str) -> SupportClass | None:
        return await self._fresh.read(self._store.current, name) if is_name(name) else None

    async def _mend(self, record: SupportClass, added: Contribution) -> None:
        """Give a class that is sent again the files it has lost meanwhile."""
        await self._fresh.write(self._store.mend, added.blobs)
        self._preparation.damaged.forget(record)

    async def _commit(
        self, what: Verb, current: SupportClass | None, draft: SupportClass, added: Contribution
    ) -> RegisteredClass | None:
        """Make a draft ready, then current; None when another process moved the pointer meanwhile."""
        before = None if current is None else current.revision
        change = RegistryChange(what, draft.name, before, draft.revision)
        commit = partial(self._store.commit, draft, added.blobs, expected=before, limits=self._limits)
        with self._preparation.expecting(draft):
            ready = await self._preparation.ready(draft, added)
            is_stored = await self._fresh.write(noting(change, commit, self._listeners))
        if not is_stored:
            return None  # and forget nothing: the next attempt probably needs the same prototypes
        await self._preparation.forget_unused()
        return RegisteredClass(draft, ready.assessment)

    def _place_of(self, name: str, current: SupportClass | None) -> AbstractAsyncContextManager[None]:
        if current is not None or self._ownership is None:
            return nullcontext()
        return self._ownership.place(name, lambda: self._lines.look(self._live.read))

    async def _check_limits(self, current: SupportClass | None, draft: SupportClass) -> None:
        # `commit` holds the number of classes exactly; this spares a hopeless request its encoding
        self._limits.check_class(draft, current)
        if current is None:
            self._limits.check_count(await self._lines.read(self._store.count))

    def _turn(self, name: str) -> asyncio.Lock:
        """Writers of one name take turns, so that the second sees what the first made instead of making it again."""
        return self._turns.setdefault(name, asyncio.Lock())
