"""Calls as methods of the clients, with the arguments and the words of the call."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from lerenet.client.steps import Steps

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Runs(Protocol):
    """A client for blocking callers."""

    def _run(self, steps: Steps[Answer], /) -> Answer: ...


class RunsAsync(Protocol):
    """A client for asyncio."""

    def _run(self, steps: Steps[Answer], /) -> Awaitable[Answer]: ...


def method(call: Callable[Arguments, Steps[Answer]]) -> Callable[Concatenate[Runs, Arguments], Answer]:
    """A method that waits for the answer of a call."""

    @wraps(call)
    def answer(self: Runs, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        return self._run(call(*args, **kwargs))

    return _described(answer, call)


def async_method(
    call: Callable[Arguments, Steps[Answer]],
) -> Callable[Concatenate[RunsAsync, Arguments], Coroutine[Any, Any, Answer]]:
    """A method that awaits the answer of a call."""

    @wraps(call)
    async def answer(self: RunsAsync, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        return await self._run(call(*args, **kwargs))

    return _described(answer, call)


Made = TypeVar("Made", bound=Callable[..., object])


def _described(made: Made, call: Callable[..., object]) -> Made:
    """Shows the call's own arguments after `self` in `help`."""
    own = inspect.signature(call)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    answer = str(own.return_annotation).removeprefix("Steps[").removesuffix("]")
    shown = own.replace(parameters=[itself, *own.parameters.values()], return_annotation=answer)
    made.__signature__ = shown  # type: ignore[attr-defined]
    return made
