"""`/metrics` of all replicas at once: whoever scrapes a proxy would read another of them each time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Gather = Callable[[], Awaitable[Mapping[str, str]]]


def merged(expositions: Mapping[str, str]) -> bytes:
    """Metrics of replicas in one text, each sample with the label `replica`.

    Args:
        expositions: Text of each replica, by its id.
    """
    registry = CollectorRegistry()
    registry.register(_Families(expositions))
    return generate_latest(registry)


class MetricsOfAll:
    """ASGI layer around a replica: an answer to `/metrics` gets what the others have.

    Args:
        app: The replica's application, which has the say in who may ask.
        gather: Text of every replica, by its id.
        root_path: Prefix that a proxy may leave on paths.
    """

    def __init__(self, app: ASGIApp, gather: Gather, root_path: str = "") -> None:
        self._app = app
        self._gather = gather
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] != "http" or scope["path"].removeprefix(self._root_path) != "/metrics":
            await self._app(scope, receive, send)
            return
        start: Message = {}

        async def send_of_all(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start" and message["status"] == 200:
                start = message
            elif start:
                body = merged(await self._gather())
                headers = [each for each in start["headers"] if each[0].lower() != b"content-length"]
                await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
                await send({"type": "http.response.body", "body": body})
            else:
                await send(message)

        await self._app(scope, receive, send_of_all)


class _Families(Collector):
    def __init__(self, expositions: Mapping[str, str]) -> None:
        self._expositions = expositions

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for replica, text in sorted(self._expositions.items()):
            for family in text_string_to_metric_families(text):
                whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    whole.samples.append(sample._replace(labels={**sample.labels, "replica": replica}))
        yield from families.values()
