"""The clients: the same calls for blocking callers and for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import httpx

from lerenet.client import calls
from lerenet.client.connection import AsyncConnection, Connection
from lerenet.client.freshness import SeenRevision, reading_own_writes
from lerenet.client.methods import async_method, method
from lerenet.client.steps import Answer, Steps, Timeouts


class Client:
    """A synchronous client; a context manager, safe to share between threads.

    Every method raises `ServiceProblem` when the service refuses or fails, and `ServiceError` when it does not answer,
    or not as a LERENet service does. A busy service (429 or 503 with `Retry-After`) is asked again a few times.

    Args:
        base_url: Such as `http://127.0.0.1:8000`.
        api_key: Where the service wants one.
        timeout_s: Longest silence, in seconds.
        registration_timeout_s: The same while the service prepares a class, in seconds.
        read_your_writes: Whether each request asks for a registry at least as new as any answer so far, so that
            replicas behind a load balancer answer alike. A `ServiceProblem` of code `registry_behind` says that the
            registry does not come up to that, as after a restore; it is raised once, and the client starts anew.
        transport: Instead of the network, such as `httpx.MockTransport`.
        sleep: Waits for a number of seconds.

    Raises:
        ConfigurationError: `base_url` is no http or https address, or `api_key` cannot be a key.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        registration_timeout_s: float = 600.0,
        read_your_writes: bool = True,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        timeouts = Timeouts(timeout_s, registration_timeout_s)
        self._connection = Connection(base_url, timeouts, api_key=api_key, transport=transport, sleep=sleep)
        self._seen = SeenRevision() if read_your_writes else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._connection.url

    def close(self) -> None:
        """Closes the connections."""
        self._connection.close()

    ready = method(calls.ready)
    check_ready = method(calls.check_ready)
    register = method(calls.register)
    classes = method(calls.classes)
    get = method(calls.get)
    shot_image = method(calls.shot_image)
    shot_mask = method(calls.shot_mask)
    delete = method(calls.delete)
    segment = method(calls.segment)

    def _run(self, steps: Steps[Answer], /) -> Answer:
        return self._connection.run(_fresh(steps, self._seen))


class AsyncClient:
    """The same for asyncio: an asynchronous context manager, whose methods are those of `Client` with `await`.

    Any number of calls may be under way; files are read and masks decoded in threads, so the event loop stays free.

    Args:
        base_url: Such as `http://127.0.0.1:8000`.
        api_key: Where the service wants one.
        timeout_s: Longest silence, in seconds.
        registration_timeout_s: The same while the service prepares a class, in seconds.
        read_your_writes: Whether each request asks for a registry at least as new as any answer so far, so that
            replicas behind a load balancer answer alike. A `ServiceProblem` of code `registry_behind` says that the
            registry does not come up to that, as after a restore; it is raised once, and the client starts anew.
        transport: Instead of the network, such as `httpx.MockTransport`.
        sleep: Waits for a number of seconds.

    Raises:
        ConfigurationError: `base_url` is no http or https address, or `api_key` cannot be a key.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        registration_timeout_s: float = 600.0,
        read_your_writes: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        timeouts = Timeouts(timeout_s, registration_timeout_s)
        self._connection = AsyncConnection(base_url, timeouts, api_key=api_key, transport=transport, sleep=sleep)
        self._seen = SeenRevision() if read_your_writes else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._connection.url

    async def close(self) -> None:
        """Closes the connections."""
        await self._connection.close()

    ready = async_method(calls.ready)
    check_ready = async_method(calls.check_ready)
    register = async_method(calls.register)
    classes = async_method(calls.classes)
    get = async_method(calls.get)
    shot_image = async_method(calls.shot_image)
    shot_mask = async_method(calls.shot_mask)
    delete = async_method(calls.delete)
    segment = async_method(calls.segment)

    async def _run(self, steps: Steps[Answer], /) -> Answer:
        return await self._connection.run(_fresh(steps, self._seen))


def _fresh(steps: Steps[Answer], seen: SeenRevision | None) -> Steps[Answer]:
    return steps if seen is None else reading_own_writes(steps, seen)
