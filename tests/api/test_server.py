"""The process itself, as `lerenet serve` runs it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from lerenet.api.server import EXIT_DEVICE_LOST

PROGRAM = """
import sys
from lerenet.api.server import serve
from lerenet.settings import load_settings
sys.exit(serve(load_settings()))
"""
WITHIN_S = 60.0

Start = Callable[..., tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tmp_path: Path, tiny_weights: Path) -> Iterator[Start]:
    """Starts the server on a free port; ends it at the end."""
    processes: list[subprocess.Popen[str]] = []

    def begin(**settings: str) -> tuple[subprocess.Popen[str], str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        fields = {
            "port": str(port),
            "data_dir": str(tmp_path),
            "weights": str(tiny_weights),
            "device": "cpu",
            **settings,
        }
        environment = {**os.environ, **{f"LERENET_{name.upper()}": value for name, value in fields.items()}}
        process = subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process, f"http://127.0.0.1:{port}"

    yield begin
    for process in processes:
        process.kill()
        process.communicate()


def wait_until_ready(address: str) -> None:
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        try:
            if httpx.get(f"{address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the server did not become ready")


def test_the_server_answers_until_it_is_told_to_stop_with_logs_as_json(start: Start) -> None:
    process, address = start(threads="1", misspelt="1")
    wait_until_ready(address)
    httpx.get(f"{address}/support", headers={"X-Request-ID": "line-3"})

    process.send_signal(signal.SIGTERM)
    _, logs = process.communicate(timeout=WITHIN_S)

    lines = [json.loads(line) for line in logs.splitlines()]
    assert process.returncode in (0, -signal.SIGTERM)
    assert any(line.get("request_id") == "line-3" and line.get("path") == "/support" for line in lines)
    assert any(line.get("variable") == "LERENET_MISSPELT" for line in lines)
    assert not any("readyz" in str(line.get("path")) for line in lines)


def test_a_balancer_is_told_before_connections_are_refused(start: Start) -> None:
    process, address = start(threads="1", drain_delay_s="3600")
    wait_until_ready(address)

    process.send_signal(signal.SIGTERM)
    until = time.monotonic() + WITHIN_S
    while (ready := httpx.get(f"{address}/readyz")).status_code == 200:
        assert time.monotonic() < until
    live, classes = httpx.get(f"{address}/livez"), httpx.get(f"{address}/support")
    metrics = httpx.get(f"{address}/metrics").text

    assert (ready.status_code, ready.json()["code"]) == (503, "draining")
    assert (live.status_code, classes.status_code) == (200, 200)
    assert "lerenet_ready 0" in metrics
    process.send_signal(signal.SIGTERM)  # from whoever does not want to wait
    process.communicate(timeout=WITHIN_S)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/livez")


def test_a_client_that_sends_too_much_hears_of_it(start: Start) -> None:
    """Over a real connection, where an answer before the end of the body could be lost to a reset."""
    _, address = start(threads="1", max_body_bytes="1000000")
    wait_until_ready(address)
    chunk, headers = bytes(100_000), {"Content-Type": "image/png"}

    declared = httpx.post(f"{address}/segment", content=chunk * 200, headers=headers)
    chunked = httpx.post(f"{address}/segment", content=(chunk for _ in range(200)), headers=headers)

    for response in (declared, chunked):
        assert (response.status_code, response.json()["code"]) == (413, "body_too_large")


def test_a_proxy_s_headers_count(start: Start) -> None:
    _, address = start(threads="1", root_path="/lerenet")
    wait_until_ready(address)

    page = httpx.get(address, headers={"Host": "plant-7.example", "X-Forwarded-Proto": "https"}).text

    assert "curl https://plant-7.example/lerenet/segment" in page


def test_the_server_ends_when_only_a_restart_helps(start: Start, tmp_path: Path) -> None:
    process, _ = start(weights=str(tmp_path / "none.safetensors"))

    _, logs = process.communicate(timeout=WITHIN_S)

    assert process.returncode == EXIT_DEVICE_LOST
    assert "none.safetensors" in logs
