"""What routes ask for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Query, Request

from lerenet.access import KeyRing
from lerenet.api.negotiation import strong_tag
from lerenet.api.parameters import NoParameters
from lerenet.runtime.front import RuntimeFront

MIN_REVISION = "X-Min-Revision"
"""Which revision of the registry an answer must show, at least."""


async def _front(request: Request) -> RuntimeFront:
    front: RuntimeFront = request.app.state.runtime
    return front


async def _ready_front(front: Annotated[RuntimeFront, Depends(_front)]) -> RuntimeFront:
    front.require_ready()  # before a body is read
    return front


async def _keys(request: Request) -> KeyRing | None:
    keys: KeyRing | None = request.app.state.keys
    return keys


async def _no_query(parameters: Annotated[NoParameters, Query()]) -> None:
    pass


async def _if_match(
    if_match: Annotated[str | None, Header(description='`"revision"` that the class must be at, or `*`')] = None,
) -> str | None:
    return strong_tag(if_match, "If-Match")


async def _if_none_match(
    if_none_match: Annotated[str | None, Header(description="`*`: only if the name is free")] = None,
) -> str | None:
    return strong_tag(if_none_match, "If-None-Match")


async def _at_least(
    front: Annotated[RuntimeFront, Depends(_ready_front)],
    x_min_revision: Annotated[
        int | None,
        Header(
            alias=MIN_REVISION,
            ge=0,
            le=2**63 - 1,
            description="`X-Registry-Revision` of an earlier answer: this one must show at least the same",
        ),
    ] = None,
) -> None:
    if x_min_revision is not None:
        await front.catch_up(x_min_revision)


FrontDep = Annotated[RuntimeFront, Depends(_front)]
"""The runtime, whatever its phase and wherever its device."""

ReadyFrontDep = Annotated[RuntimeFront, Depends(_ready_front)]
"""The same once it answers; 503 before and after."""

KeysDep = Annotated[KeyRing | None, Depends(_keys)]
"""The API keys in force; None where none are asked for."""

NoQuery = Depends(_no_query)
"""Refuses any query parameter."""

AtLeast = Depends(_at_least)
"""Waits for a view of the registry that is as new as the caller asks for; 503 when there is none."""

IfMatch = Annotated[str | None, Depends(_if_match)]
"""The revision that a write must find, `*` for any; None without the header."""

IfNoneMatch = Annotated[str | None, Depends(_if_none_match)]
"""The revision that a write must not find, `*` for any; None without the header."""
