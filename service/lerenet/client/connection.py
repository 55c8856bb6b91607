"""One service over HTTP, for blocking callers and for asyncio: sends what a conversation asks for, waits in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypedDict

import httpx

from lerenet.client.steps import MAX_RETRIES, Answer, Answered, Outcome, Request, Steps, Timeouts, advance
from lerenet.errors import ConfigurationError, ServiceError

__all__ = ["MAX_RETRIES", "AsyncConnection", "Connection"]

# Shorter than any server or proxy keeps an idle connection: we must not write into one that it is closing.
_IDLE_S = 2.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Connection:
    """Requests to one service from blocking callers.

    Args:
        base_url: Such as `http://127.0.0.1:8000`; a path is kept.
        timeouts: Longest silences.
        api_key: Sent as a bearer token.
        transport: Instead of the network.
        sleep: Waits for a number of seconds.

    Raises:
        ConfigurationError: `base_url` is no http or https address, or `api_key` cannot be a key.
    """

    def __init__(
        self,
        base_url: str,
        timeouts: Timeouts,
        *,
        api_key: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        options = _options(base_url, api_key)
        self.url = _shown(options)
        self._timeouts = timeouts
        self._sleep = sleep
        self._http = httpx.Client(transport=transport, **options)

    def close(self) -> None:
        """Closes what is open."""
        self._http.close()

    def run(self, steps: Steps[Answer]) -> Answer:
        """The answer of a conversation.

        Raises:
            ServiceProblem: The service refused or failed.
            ServiceError: It did not answer.
        """
        step = advance(steps, None)
        while not isinstance(step, Answered):
            if step.after_s:
                self._sleep(step.after_s)
            step = advance(steps, self._sent(step))
        return step.answer

    def _sent(self, request: Request) -> Outcome:
        try:
            return self._http.request(**_content(request, self._timeouts))
        except httpx.HTTPError as err:
            return _failure(err, self.url, request, self._timeouts)


class AsyncConnection:
    """Requests to one service from asyncio: files are read and masks decoded beside the event loop.

    Args:
        base_url: Such as `http://127.0.0.1:8000`; a path is kept.
        timeouts: Longest silences.
        api_key: Sent as a bearer token.
        transport: Instead of the network.
        sleep: Waits for a number of seconds.

    Raises:
        ConfigurationError: `base_url` is no http or https address, or `api_key` cannot be a key.
    """

    def __init__(
        self,
        base_url: str,
        timeouts: Timeouts,
        *,
        api_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        options = _options(base_url, api_key)
        self.url = _shown(options)
        self._timeouts = timeouts
        self._sleep = sleep
        self._http = httpx.AsyncClient(transport=transport, **options)

    async def close(self) -> None:
        """Closes what is open."""
        await self._http.aclose()

    async def run(self, steps: Steps[Answer]) -> Answer:
        """The answer of a conversation.

        Raises:
            ServiceProblem: The service refused or failed.
            ServiceError: It did not answer.
        """
        step = await asyncio.to_thread(advance, steps, None)
        while not isinstance(step, Answered):
            if step.after_s:
                await self._sleep(step.after_s)
            step = await asyncio.to_thread(advance, steps, await self._sent(step))
        return step.answer

    async def _sent(self, request: Request) -> Outcome:
        try:
            return await self._http.request(**_content(request, self._timeouts))
        except httpx.HTTPError as err:
            return _failure(err, self.url, request, self._timeouts)


class _Options(TypedDict):
    base_url: httpx.URL
    headers: dict[str, str]
    limits: httpx.Limits
    trust_env: bool


def _options(base_url: str, api_key: str | None) -> _Options:
    """What both kinds of httpx client are made with."""
    url = _checked(base_url)
    return {
        "base_url": url,
        "headers": {} if api_key is None else {"Authorization": f"Bearer {_checked_key(api_key)}"},
        "limits": httpx.Limits(keepalive_expiry=_IDLE_S),
        "trust_env": url.host not in _LOOPBACK,  # a proxy cannot reach this machine
    }


def _shown(options: _Options) -> str:
    return str(options["base_url"]).rstrip("/")


def _content(request: Request, timeouts: Timeouts) -> dict[str, Any]:
    """A request as arguments of httpx."""
    return {
        "method": request.method,
        "url": request.path,
        "files": request.files,
        "data": request.data,
        "params": request.params,
        "headers": request.headers,
        "timeout": timeouts.of(request),
    }


def _failure(err: httpx.HTTPError, url: str, request: Request, timeouts: Timeouts) -> ServiceError:
    """What it means that a request met no answer."""
    if isinstance(err, httpx.TimeoutException):
        detail = f"{url} did not answer {request.method} {request.path} within {timeouts.of(request):g} s"
    else:
        detail = f"{url} cannot be reached ({err}); is the service running there?"
    failure = ServiceError(detail)
    failure.__cause__ = err
    return failure


def _checked_key(api_key: str) -> str:
    """A key fit for a header: what cannot be sent would be quoted, key and all, in the error of whoever tries."""
    key = api_key.strip()  # files end in line breaks
    if not key.isascii() or not key.isprintable() or " " in key or not key:
        raise ConfigurationError("the API key is empty or has characters that no key has: was it copied whole?")
    return key


def _checked(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as err:
        raise ConfigurationError(f"{base_url!r} is no address ({err}); write http://HOST:PORT") from err
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"{base_url!r} is no http address; write http://HOST:PORT")
    return url
