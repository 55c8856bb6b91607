"""What routes ask for that need the runtime itself, with its registry: it is in the process that has the device."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from lerenet.api.dependencies import FrontDep, ReadyFrontDep
from lerenet.runtime.runtime import Runtime


async def _runtime(front: FrontDep) -> Runtime:
    assert isinstance(front, Runtime)
    return front


async def _ready_runtime(front: ReadyFrontDep) -> Runtime:
    assert isinstance(front, Runtime)
    return front


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
"""The runtime, whatever its phase."""

ReadyRuntimeDep = Annotated[Runtime, Depends(_ready_runtime)]
"""The runtime once it answers; 503 before and after."""
