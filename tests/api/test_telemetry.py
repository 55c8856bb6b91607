"""Traces: what spans a request leaves, and that nothing is sent until a variable names a collector."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.types import ASGIApp, Message
from structlog.typing import EventDict

from api.plates import PNG_HEADERS, form, image_part, plate_png, register
from fakes import LevelSegmenter, engine_with
from lerenet.api import create_app
from lerenet.settings import Settings
from serving import AppClient, running_client

STAGES = ["read", "decode", "queue", "device", "encode"]
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def traced(settings: Settings, spans: InMemorySpanExporter) -> AsyncIterator[AppClient]:
    """A client of an application whose spans are kept; a class is registered already."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    build = engine_with(LevelSegmenter())
    async with running_client(settings, build=build, tracer_provider=provider) as client:
        await register(client)
        spans.clear()
        yield client
    provider.shutdown()


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def log_lines() -> Any:
    return structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars])


async def test_every_stage_is_a_span_below_its_request(traced: AppClient, spans: InMemorySpanExporter) -> None:
    await traced.post("/segment", **form(image_part(plate_png())))

    found = by_name(spans)
    request = found["POST /segment"]
    assert sorted(found) == sorted(["POST /segment", *(f"lerenet.{stage}" for stage in STAGES)])
    for stage in STAGES:
        span = found[f"lerenet.{stage}"]
        assert span.parent is not None
        assert request.context is not None
        assert span.parent.span_id == request.context.span_id
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time


async def test_the_wait_ends_where_the_device_begins(traced: AppClient, spans: InMemorySpanExporter) -> None:
    await traced.post("/segment", content=plate_png(), headers=PNG_HEADERS)

    wait, work = by_name(spans)["lerenet.queue"], by_name(spans)["lerenet.device"]
    assert wait.end_time is not None
    assert work.start_time is not None
    assert abs(wait.end_time - work.start_time) < 50e6  # two clocks are read for each, a moment apart


async def test_each_image_has_its_own_spans(traced: AppClient, spans: InMemorySpanExporter) -> None:
    await traced.post("/segment", **form(*[image_part(plate_png())] * 3))

    names = [span.name for span in spans.get_finished_spans()]
    assert names.count("lerenet.device") == names.count("lerenet.encode") == 3


async def test_the_trace_of_the_caller_goes_on_in_spans_and_log(traced: AppClient, spans: InMemorySpanExporter) -> None:
    with log_lines() as lines:
        await traced.get("/support", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    [span] = spans.get_finished_spans()
    assert span.context is not None
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    [line] = (line for line in lines if line["event"] == "request")
    assert (line["trace_id"], line["span_id"]) == (TRACE, f"{span.context.span_id:016x}")


async def test_a_span_has_the_status_of_the_answer(traced: AppClient, spans: InMemorySpanExporter) -> None:
    await traced.post("/segment", content=b"no image", headers=PNG_HEADERS)

    attributes = spans.get_finished_spans()[-1].attributes
    assert attributes is not None
    assert attributes["http.response.status_code"] == 415


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/static/page.css"])
async def test_probes_scrapes_and_files_leave_no_span(
    traced: AppClient, spans: InMemorySpanExporter, path: str
) -> None:
    assert (await traced.get(path)).status_code == 200

    assert spans.get_finished_spans() == ()


async def test_without_a_collector_nothing_is_traced(client: AppClient) -> None:
    lines: list[EventDict]
    with log_lines() as lines:
        await client.get("/support", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})

    [line] = (line for line in lines if line["event"] == "request")
    assert "trace_id" not in line


async def live_through(app: ASGIApp) -> None:
    """Starts an application as a server would, asks it once, and stops it."""
    told: asyncio.Queue[Message] = asyncio.Queue()
    said: asyncio.Queue[Message] = asyncio.Queue()
    life = asyncio.ensure_future(app({"type": "lifespan", "state": {}}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        await client.get("/support")
    await told.put({"type": "lifespan.shutdown"})
    await life


async def test_without_a_variable_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)

    await live_through(create_app(settings, build=engine_with(LevelSegmenter())))

    assert not isinstance(trace.get_tracer_provider(), TracerProvider)


@pytest.fixture
def collector() -> Any:
    """A collector on this machine: its address, and what it was sent."""
    received: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()
        thread.join()


PROGRAM = """
import asyncio, sys
from api.test_telemetry import live_through
from fakes import LevelSegmenter, engine_with
from lerenet.api import create_app
from lerenet.settings import Settings
asyncio.run(live_through(create_app(Settings(data_dir=sys.argv[1]), build=engine_with(LevelSegmenter()))))
"""


def test_the_standard_variables_turn_it_on(tmp_path: Path, collector: tuple[str, list[tuple[str, bytes]]]) -> None:
    address, received = collector
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_SERVICE_NAME": "press-3",
    }

    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], env=environment, check=True, timeout=300)

    assert {path for path, _ in received} == {"/v1/traces"}
    assert any(b"press-3" in body and b"/support" in body for _, body in received)
