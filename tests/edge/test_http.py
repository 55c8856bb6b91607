"""HTTP as edges speak it: over both of them, on connections that are kept, with limits, behind a proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing

import httpx
import pytest

from api.keys import headers, issued, write_keys
from api.plates import PNG_HEADERS, form, parts, plate_png
from edge.connection import Answer, Answers, request
from edge.service import WITHIN_S, ServiceWithEdges

MAX_BODY_BYTES = 1_000_000
ADMIN = issued("admin")
RARE = [issued("admin", requests_per_minute=1) for _ in range(2)]
KEY = headers(ADMIN)
BEGUN = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'
OWN = ("POST", "/segment", "image/png")
RELAYED = ("PUT", "/support/late", "multipart/form-data; boundary=b")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceWithEdges]:
    """Asks for keys, takes small bodies, and stands behind a proxy."""
    folder = tmp_path_factory.mktemp("guarded")
    keys = write_keys(folder / "keys.json", [ADMIN.record, *(each.record for each in RARE)])
    with ServiceWithEdges(folder, api_keys_file=keys, max_body_bytes=MAX_BODY_BYTES, root_path="/lerenet") as running:
        running.headers = KEY
        running.wait_until_ready()
        yield running


def exchange(service: ServiceWithEdges, pid: int, sent: bytes) -> Answer:
    """What an edge answers to a request."""
    with closing(service.connection_to(pid)) as connection:
        connection.sendall(sent)
        return Answers(connection).next()


@pytest.mark.parametrize("order", [0, 1], ids=["own then relayed", "relayed then own"])
def test_a_key_s_rate_holds_over_both_edges(guarded: ServiceWithEdges, order: int) -> None:
    here, there = guarded.descendants()
    key = headers(RARE[order])
    frame = request("POST", "/segment", {**PNG_HEADERS, **key}, plate_png())
    asked = [(here, frame), (there, request("GET", "/version", key))]
    first, second = (exchange(guarded, *each) for each in (asked, asked[::-1])[order])

    assert first.status != 429
    assert first.headers["ratelimit"].startswith('"key";r=0')
    assert (second.status, json.loads(second.body)["code"]) == (429, "rate_exceeded")


@pytest.mark.parametrize("asked", [OWN, RELAYED], ids=["own", "relayed"])
def test_a_body_that_is_declared_too_large_is_refused_before_it_is_sent(
    guarded: ServiceWithEdges, asked: tuple[str, str, str]
) -> None:
    method, path, media_type = asked
    more = {"Content-Length": MAX_BODY_BYTES + 1, "Content-Type": media_type, "Expect": "100-continue", **KEY}

    for pid in guarded.descendants():
        answer = exchange(guarded, pid, request(method, path, more))

        assert (answer.status, json.loads(answer.body)["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("asked", [OWN, RELAYED], ids=["own", "relayed"])
def test_a_body_without_length_is_refused_once_it_is_too_large(
    guarded: ServiceWithEdges, asked: tuple[str, str, str]
) -> None:
    method, path, media_type = asked
    more = {"Transfer-Encoding": "chunked", "Content-Type": media_type, "Expect": "100-continue", **KEY}
    with closing(guarded.connection_to(guarded.descendants()[0])) as connection:
        answers = Answers(connection)
        connection.sendall(request(method, path, more))
        assert answers.next().status == 100

        for piece in (BEGUN, bytes(MAX_BODY_BYTES)):  # without an end
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))

        answer = answers.next()
        assert (answer.status, json.loads(answer.body)["code"]) == (413, "body_too_large")


def test_requests_in_a_row_on_one_connection_are_answered_in_order(guarded: ServiceWithEdges) -> None:
    asked = [
        ("GET", "/livez", None),
        ("GET", "/version", None),
        ("HEAD", "/version", None),
        ("POST", "/segment", plate_png()),
        ("HEAD", "/livez", None),
        ("GET", "/support/none", None),
        ("GET", "/livez", None),
    ]
    expected = [200, 200, 405, 409, 405, 404, 200]
    for pid in guarded.descendants():
        with closing(guarded.connection_to(pid)) as connection:
            answers = Answers(connection)
            for _ in range(2):  # the connection is kept
                for i, (method, path, body) in enumerate(asked):
                    connection.sendall(request(method, path, {**KEY, **PNG_HEADERS, "X-Request-ID": f"line-{i}"}, body))
                come = [answers.next(has_body=method != "HEAD") for method, _, _ in asked]

                assert [each.headers["x-request-id"] for each in come] == [f"line-{i}" for i in range(len(asked))]
                assert [each.status for each in come] == expected


def test_addresses_are_those_that_the_proxy_was_asked_for(guarded: ServiceWithEdges) -> None:
    forwarded = {"Host": "plant-7.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.1.2.3"}
    with ExitStack() as stack:
        client = httpx.Client(base_url=guarded.url, headers={**KEY, **forwarded}, timeout=WITHIN_S, verify=False)
        stack.enter_context(client)
        for prefix in ("", "/lerenet"):  # proxies take it off, or leave it on
            page = client.get(f"{prefix}/").text
            registered = client.post(f"{prefix}/support", **form(*parts(), name=f"bright{prefix.strip('/')}"))
            found = client.post(f"{prefix}/segment", content=plate_png(), headers=PNG_HEADERS)

            assert "curl https://plant-7.example/lerenet/segment" in page
            assert registered.headers["location"] == f"/lerenet/support/bright{prefix.strip('/')}"
            assert (client.get(f"{prefix}/livez").status_code, found.status_code) == (200, 200)
