"""The layers around routes, the same in every process that speaks HTTP."""

from __future__ import annotations

from fastapi import FastAPI
from opentelemetry.trace import Tracer
from starlette.middleware.cors import CORSMiddleware

from lerenet.access import KeyRing
from lerenet.api.doorkeeper import Doorkeeper
from lerenet.api.envelope import Envelope
from lerenet.api.foreign_pages import ForeignPages
from lerenet.api.gate import Gate, needs_of
from lerenet.api.routes import segment
from lerenet.runtime.front import RuntimeFront

SENT_HEADERS = [
    *("Authorization", "Content-Type", "If-Match", "If-None-Match"),
    *("X-API-Key", "X-Min-Revision", "X-Request-ID"),
]
"""What pages of other origins may send."""

SHOWN_HEADERS = [
    *("ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "Server-Timing", "WWW-Authenticate"),
    *("X-Classes", "X-Registry-Revision", "X-Request-ID", "X-Revision", "X-Revisions", "X-Scores", "X-Weights-Digest"),
]
"""What they may read."""


def add_layers(app: FastAPI, runtime: RuntimeFront, keys: KeyRing | None, tracer: Tracer) -> None:
    """From the innermost to the outermost."""
    settings = runtime.settings
    app.add_middleware(Doorkeeper, runtime=runtime, route=segment.ROUTE)
    if keys is not None:
        app.add_middleware(Gate, keys=keys, needs=needs_of(settings))
    origins = [origin for each in settings.cors_origins.split(",") if (origin := each.strip())]
    app.add_middleware(ForeignPages, origins=origins)
    app.add_middleware(Envelope, runtime=runtime, tracer=tracer)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=SENT_HEADERS,
            expose_headers=SHOWN_HEADERS,
        )
