"""Images from the one Label Studio that the operator named, and from nowhere else."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from lerenet.errors import BodyTooLarge, MalformedRequest, ServiceError
from lerenet.runtime.admission import Share

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 20.0
MAX_REDIRECTS = 3

_JWT_PARTS = 3
_DEFAULT_PORTS = {"http": 80, "https": 443}


class LabelStudioHost:
    """Reads files of one Label Studio; an async context manager.

    Args:
        base_url: Such as `http://label-studio:8080`; a path is kept.
        token: Of an account that may see the tasks; legacy, or a personal access token. None where none is needed.
        max_bytes: Of one file.
        transport: Instead of the network.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        max_bytes: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base = httpx.URL(base_url.rstrip("/") + "/")
        self._token = token
        self._max_bytes = max_bytes
        self._headers = {"Accept-Encoding": "identity"}  # so that what is counted is what it takes in memory
        # neither a proxy nor a .netrc of the environment comes between: the operator named this host
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S), transport=transport, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def sign_in(self) -> None:
        """Prepares the token: a personal one is exchanged for one that is good for a few minutes.

        Raises:
            ServiceError: Label Studio does not take it, or does not answer.
        """
        if self._token is None:
            return
        if len(self._token.split(".")) < _JWT_PARTS:
            self._headers["Authorization"] = f"Token {self._token}"
            return
        try:
            answer = await self._http.post(self._base.join("api/token/refresh"), json={"refresh": self._token})
            self._headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access']}"
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as err:
            detail = f"Label Studio at {self._base} does not take LERENET_LABEL_STUDIO_TOKEN: {err}"
            raise ServiceError(detail) from err

    async def fetch(self, address: str, share: Share, pointer: str) -> bytes:
        """A file.

        Args:
            address: As it stands in a task: a path, or an address at this host.
            share: Of the memory for bodies; reserves what is read.
            pointer: Where in the request the address lies.

        Raises:
            MalformedRequest: The address, or one it leads to, is at another host.
            BodyTooLarge: The file is larger than `max_bytes`.
            ServiceError: Label Studio does not hand it out.
            RequestError, Unavailable: `share` has no room.
        """
        url = self._own(address, self._base, pointer)
        try:
            for _ in range(MAX_REDIRECTS + 1):
                async with self._http.stream("GET", url, headers=self._headers) as answer:
                    if not answer.has_redirect_location:
                        return await self._read(answer, share, pointer)
                    url = self._own(answer.headers["location"], url, pointer)
        except httpx.HTTPError as err:
            raise ServiceError(f"Label Studio at {self._base} did not answer: {err!r}", pointer=pointer) from err
        raise ServiceError(f"{address[:200]} leads on more than {MAX_REDIRECTS} times", pointer=pointer)

    def _own(self, address: str, seen_from: httpx.URL, pointer: str) -> httpx.URL:
        """An address as an absolute one at this host."""
        try:
            path = self._base.path.rstrip("/")
            is_short = (
                seen_from is self._base and address.startswith("/") and not address.startswith((f"{path}/", "//"))
            )
            url = seen_from.join(path + address if is_short else address)
        except (httpx.InvalidURL, ValueError) as err:
            raise MalformedRequest(f"{address[:200]!r} is no address: {err}", pointer=pointer) from err
        if _origin(url) != _origin(self._base) or url.userinfo:
            detail = (
                f"{address[:200]} is not at {self._base}: images are read only from there (LERENET_LABEL_STUDIO_URL);"
                " upload them to Label Studio, or let it serve them"
            )
            raise MalformedRequest(detail, pointer=pointer)
        return url

    async def _read(self, answer: httpx.Response, share: Share, pointer: str) -> bytes:
        if not answer.is_success:
            detail = (
                f"Label Studio answered {answer.status_code} to GET {answer.url.path}: LERENET_LABEL_STUDIO_TOKEN must"
                " be of an account that may see it"
            )
            raise ServiceError(detail, pointer=pointer)
        data = bytearray()
        async for chunk in answer.aiter_raw():
            if len(data) + len(chunk) > self._max_bytes:
                detail = f"the image at {answer.url.path} has more than {self._max_bytes} bytes: compress it"
                raise BodyTooLarge(detail, pointer=pointer)
            share.take(len(chunk))
            data += chunk
        return bytes(data)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or _DEFAULT_PORTS.get(url.scheme)
