"""One service over HTTP: waits when it is asked to, and turns every failure into an error of ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx

from lerenet.client.problems import problem_in
from lerenet.client.uploads import Part
from lerenet.errors import ConfigurationError, ServiceError

MAX_RETRIES = 5
LONGEST_WAIT_S = 60.0

# Shorter than any server or proxy keeps an idle connection: we must not write into one that it is closing.
_IDLE_S = 2.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_UNAVAILABLE = 503


class Connection:
    """Requests to one service; a context manager.

    Args:
        base_url: Such as `http://127.0.0.1:8000`; a path is kept.
        api_key: Sent as a bearer token.
        transport: Instead of the network.
        sleep: Waits for a number of seconds.

    Raises:
        ConfigurationError: `base_url` is no http or https address.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        url = _checked(base_url)
        self.url = str(url).rstrip("/")
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=url,
            headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            limits=httpx.Limits(keepalive_expiry=_IDLE_S),
            transport=transport,
            trust_env=url.host not in _LOOPBACK,  # a proxy cannot reach this machine
        )

    def close(self) -> None:
        """Closes what is open."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        files: Sequence[Part] | None = None,
        data: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        max_retries: int = MAX_RETRIES,
    ) -> httpx.Response:
        """Sends a request; again when the service is busy and says for how long.

        Args:
            method: Of HTTP.
            path: Below the base URL.
            timeout_s: Longest silence, in seconds.
            files: Parts of a multipart body.
            data: Its other fields.
            params: Of the query.
            max_retries: After a 503 with `Retry-After` of at most `LONGEST_WAIT_S` seconds.

        Raises:
            ServiceProblem: The service refused or failed.
            ServiceError: It did not answer.
        """
        for n_retries in range(max_retries + 1):
            response = self._send(method, path, timeout_s=timeout_s, files=files, data=data, params=params)
            if response.is_success:
                return response
            problem = problem_in(response)
            wait_s = problem.retry_after_s
            is_busy = problem.status == _UNAVAILABLE and wait_s is not None and wait_s <= LONGEST_WAIT_S
            if not is_busy or n_retries == max_retries:
                break
            self._sleep(wait_s or 0.0)
        raise problem

    def _send(self, method: str, path: str, *, timeout_s: float, **content: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, timeout=timeout_s, **content)
        except httpx.TimeoutException as err:
            raise ServiceError(f"{self.url} did not answer {method} {path} within {timeout_s:g} s") from err
        except httpx.HTTPError as err:
            raise ServiceError(f"{self.url} cannot be reached ({err}); is the service running there?") from err


def _checked(base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as err:
        raise ConfigurationError(f"{base_url!r} is no address ({err}); write http://HOST:PORT") from err
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"{base_url!r} is no http address; write http://HOST:PORT")
    return url
