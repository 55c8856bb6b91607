"""What pages of other origins may not do: send forms to a service that trusts whoever reaches its port."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from lerenet.errors import Forbidden

LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN = frozenset({"cross-site", "same-site"})
"""What browsers say of a request that a page of another origin makes (`Sec-Fetch-Site`)."""


class ForeignPages:
    """ASGI layer that refuses what a browser sends for a page of an origin that is not named.

    Without CORS a page cannot read answers, but it can post a form, such as a registration, to any address that its
    reader reaches. Programs are no browsers, and send no such header.

    Args:
        app: The rest.
        origins: Named ones; `*` for all.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request in.

        Raises:
            Forbidden: A page of another origin sends it.
        """
        if scope["type"] == "http" and scope["method"] not in LOOKING:
            headers = Headers(scope=scope)
            is_named = "*" in self._origins or headers.get("origin") in self._origins
            if headers.get("sec-fetch-site") in FOREIGN and not is_named:
                raise Forbidden("a page of another origin sends this: name the origin in LERENET_CORS_ORIGINS")
        await self._app(scope, receive, send)
