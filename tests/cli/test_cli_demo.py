from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import httpx
import pytest

from cli.conftest import Run
from client.fake_service import LIMITS, FakeService, fields, parts, problem
from lerenet.cli.demo import N_QUERIES, N_SHOTS
from lerenet.cli.local_service import LocalService, service_at, wait_until_ready
from lerenet.client import Client
from lerenet.errors import ServiceError
from lerenet.imaging import decode_image

# Stands for `lerenet serve`: loads for one probe, then is ready.
SERVE = """
import http.server, json, os

class Answer(http.server.BaseHTTPRequestHandler):
    n_probes = 0
    def do_GET(self):
        Answer.n_probes += 1
        self.send_response(503 if Answer.n_probes == 1 else 200)
        self.end_headers()
        self.wfile.write(json.dumps({"detail": os.environ["LERENET_DATA_DIR"], "code": "loading"}).encode())

http.server.HTTPServer((os.environ["LERENET_HOST"], int(os.environ["LERENET_PORT"])), Answer).serve_forever()
"""


def test_demo_compares_with_the_truth(run: Run, service: FakeService, tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0
    assert "using the service at http://127.0.0.1:8000" in result.output
    assert "IoU" in result.output
    sheet = decode_image((tmp_path / "demo/sheet.png").read_bytes(), LIMITS)
    assert sheet.shape[1] // 200 == N_QUERIES
    assert len(list((tmp_path / "demo").glob("overlay-*.png"))) == N_QUERIES


def test_demo_registers_shots_that_it_does_not_ask_about(run: Run, service: FakeService) -> None:
    run("demo")
    register, segment = (request for request in service.requests if request.method == "POST")
    shots = {part.data for part in parts(register) if part.field == "images"}
    queries = {part.data for part in parts(segment) if part.field == "images"}
    assert (len(shots), len(queries), len(shots & queries)) == (N_SHOTS, N_QUERIES, 0)
    assert fields(segment)["classes"] == fields(register)["name"]


def test_demo_leaves_no_class_behind(run: Run, service: FakeService) -> None:
    run("demo")
    assert (service.requests[-1].method, service.classes) == ("DELETE", {})


def test_demo_tells_why_the_service_refuses(run: Run, service: FakeService) -> None:
    service.answers = [problem(500, "weights_error", "the weights are damaged") for _ in range(2)]
    result = run("demo")
    assert result.exit_code == 1
    assert "the weights are damaged (500 weights_error)" in result.stderr


@pytest.fixture
def lines() -> list[str]:
    return []


def test_service_of_our_own_runs_while_it_is_needed(lines: list[str]) -> None:
    serve = (sys.executable, "-c", SERVE)
    with service_at("http://127.0.0.1:1", partial(Client, timeout_s=5), lines.append, serve) as client:
        assert client.url != "http://127.0.0.1:1"
        assert client.ready()
    assert not Client(client.url).ready()
    assert lines == ["no service at http://127.0.0.1:1: starting one"]


def test_service_of_our_own_has_a_folder_of_its_own() -> None:
    with LocalService((sys.executable, "-c", SERVE)) as service, Client(service.url) as client:
        wait_until_ready(client, service.check_alive)
        data_dir = Path(httpx.get(f"{service.url}/readyz", trust_env=False).json()["detail"])
        assert data_dir.parent.is_dir()
    assert not data_dir.parent.exists()


def test_service_of_our_own_takes_a_given_folder(tmp_path: Path) -> None:
    serve = (sys.executable, "-c", SERVE)
    with LocalService(serve, data_dir=tmp_path) as service, Client(service.url) as client:
        wait_until_ready(client, service.check_alive)
        assert httpx.get(f"{service.url}/readyz", trust_env=False).json()["detail"] == str(tmp_path)
    assert tmp_path.is_dir()


def test_service_that_does_not_start_is_quoted(lines: list[str]) -> None:
    fail = (sys.executable, "-c", "import sys; sys.exit('port is taken')")
    with (
        pytest.raises(ServiceError, match="ended with status 1: port is taken"),
        service_at("http://127.0.0.1:1", Client, lines.append, fail),
    ):
        pass


def test_wait_for_a_service_ends() -> None:
    service = FakeService(answers=[problem(503, "loading", "still loading", retry_after="1")] * 2)
    with (
        Client("http://plant.example", transport=service.transport) as client,
        pytest.raises(ServiceError, match="still loading"),
    ):
        wait_until_ready(client, timeout_s=0)
