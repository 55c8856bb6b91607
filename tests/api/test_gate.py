"""Who may: every route of the application, enumerated from the application itself, with every kind of key."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.keys import headers, issued, write_keys
from api.plates import assert_problem, form, image_part, parts, plate_png
from conftest import ClientFactory
from fakes import LevelSegmenter, engine_with
from lerenet.access import IssuedKey, KeyRing
from lerenet.api import create_app
from lerenet.api.gate import NEEDS, Gate
from lerenet.errors import ConfigurationError
from lerenet.settings import Settings
from serving import AppClient, running_client

OPEN, ANY, SEGMENT, REGISTER = "open", "any", "segment", "register"

EXPECTED = {
    ("GET", "/"): OPEN,
    ("GET", "/static/{name}"): OPEN,
    ("GET", "/livez"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/health"): OPEN,
    ("GET", "/version"): ANY,
    ("GET", "/limits"): ANY,
    ("GET", "/metrics"): ANY,
    ("GET", "/docs"): ANY,
    ("GET", "/openapi.json"): ANY,
    ("GET", "/support"): ANY,
    ("GET", "/support/{name}"): ANY,
    ("GET", "/support/{name}/shots/{index}/image"): ANY,
    ("GET", "/support/{name}/shots/{index}/mask"): ANY,
    ("POST", "/segment"): SEGMENT,
    ("POST", "/predict"): SEGMENT,
    ("POST", "/setup"): SEGMENT,
    ("POST", "/support"): REGISTER,
    ("PUT", "/support/{name}"): REGISTER,
    ("PATCH", "/support/{name}"): REGISTER,
    ("DELETE", "/support/{name}"): REGISTER,
    ("POST", "/support/{name}/shots"): REGISTER,
    ("DELETE", "/support/{name}/shots/{index}"): REGISTER,
}

SEGMENTS, REGISTERS, ADMIN = issued("segment"), issued("register"), issued("admin")
NOTHING = issued()
EXPIRED, REVOKED = issued("admin", days=0.5), issued("admin", revoked=True)
ALL = (SEGMENTS, REGISTERS, ADMIN, NOTHING, EXPIRED, REVOKED)

WRONG = {
    "no key": {},
    "an empty key": {"X-API-Key": ""},
    "an empty key beside a right one": {"X-API-Key": "", "Authorization": f"Bearer {ADMIN.secret}"},
    "another's key": headers(issued("admin")),
    "a prefix alone": headers(ADMIN.record.prefix),
    "the hash instead of the key": headers(ADMIN.record.sha256),
    "a key cut short": headers(ADMIN.secret[:-1]),
    "a key with more behind it": headers(ADMIN.secret + "A"),
    "an endless key": headers(ADMIN.secret * 100),
    "an expired key": headers(EXPIRED),
    "a revoked key": headers(REVOKED),
    "a bearer without a token": {"Authorization": "Bearer"},
    "a wrong bearer": {"Authorization": "Bearer lere_00000000_wrong"},
    "an unreadable basic": {"Authorization": "Basic %%%"},
    "a wrong basic": {"Authorization": "Basic " + base64.b64encode(b"admin:admin").decode()},
    "another scheme": {"Authorization": f"Token {ADMIN.secret}"},
    "a key in a cookie": {"Cookie": f"X-API-Key={ADMIN.secret}"},
}


@pytest.fixture
def guarded(tmp_path: Path, make_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings under which keys are asked for, and every route there is exists."""
    path = write_keys(tmp_path / "keys.json", [key.record for key in ALL])

    def make(**fields: object) -> Settings:
        defaults = {"api_keys_file": path, "label_studio_url": "http://studio.example"}
        return make_settings(**{**defaults, **fields})

    return make


@pytest.fixture
async def closed(client_factory: ClientFactory, guarded: Callable[..., Settings]) -> AppClient:
    return await client_factory(guarded())


def routes(settings: Settings) -> Iterator[tuple[str, str]]:
    """Method and path of each route of the application."""
    for context in iter_route_contexts(create_app(settings).routes):
        for method in (context.methods or set()) - {"HEAD"}:
            yield method, context.path or ""


def filled(path: str) -> str:
    return path.replace("{name}", "main.js" if "static" in path else "scratches").replace("{index}", "0")


async def statuses(client: AppClient, sent: dict[str, str]) -> dict[tuple[str, str], int]:
    return {
        (method, path): (await client.request(method, filled(path), headers=sent)).status_code
        for method, path in EXPECTED
    }


def test_every_route_of_the_application_is_in_the_table(guarded: Callable[..., Settings]) -> None:
    assert sorted(routes(guarded())) == sorted(EXPECTED)
    assert {f"{method} {path}" for method, path in EXPECTED} == set(NEEDS)


RIGHT = {
    "without scope": (NOTHING, set[str]()),
    "segment": (SEGMENTS, {ANY, SEGMENT}),
    "register": (REGISTERS, {ANY, REGISTER}),
    "admin": (ADMIN, {ANY, SEGMENT, REGISTER}),
}

SPELLINGS = {
    "bearer": {"Authorization": f"Bearer {SEGMENTS.secret}"},
    "bearer, spelt otherwise": {"Authorization": f"bearer  {SEGMENTS.secret}"},
    "password of Label Studio": {
        "Authorization": "Basic " + base64.b64encode(f"anybody:{SEGMENTS.secret}".encode()).decode()
    },
    "beside a proxy's own": {"X-API-Key": SEGMENTS.secret, "Authorization": "Basic cHJveHk6cHJveHk="},
}


async def test_a_wrong_key_opens_nothing_but_what_is_open(closed: AppClient) -> None:
    for kind, sent in WRONG.items():
        found = await statuses(closed, sent)
        assert found == {route: 200 if need == OPEN else 401 for route, need in EXPECTED.items()}, kind


async def test_a_key_opens_what_its_scopes_say(closed: AppClient) -> None:
    for kind, (key, opened) in RIGHT.items():
        found = await statuses(closed, headers(key))
        closed_routes = {route for route, need in EXPECTED.items() if need not in opened | {OPEN}}
        assert {route for route, status in found.items() if status == 403} == closed_routes, kind
        assert not {401, 429} & set(found.values()), kind


async def test_a_key_may_come_in_several_headers(closed: AppClient) -> None:
    for spelling, sent in SPELLINGS.items():
        assert (await closed.get("/support", headers=sent)).status_code == 200, spelling


async def test_refusals_say_what_to_do(closed: AppClient) -> None:
    without = await closed.post("/segment")
    lacking = await closed.post("/segment", headers=headers(REGISTERS))

    assert "X-API-Key" in assert_problem(without, 401, "unauthorized")["detail"]
    assert without.headers["www-authenticate"].startswith("Bearer ")
    assert "`segment`" in assert_problem(lacking, 403, "forbidden")["detail"]
    for kind, state in ((EXPIRED, "expired"), (REVOKED, "revoked")):
        assert (
            state in assert_problem(await closed.get("/support", headers=headers(kind)), 401, "unauthorized")["detail"]
        )


async def test_a_stranger_does_not_learn_which_routes_or_classes_there_are(closed: AppClient) -> None:
    for method, path in [("GET", "/nowhere"), ("DELETE", "/segment"), ("GET", "/support/secret"), ("BREW", "/")]:
        assert_problem(await closed.request(method, path), 401, "unauthorized")
    assert_problem(await closed.get("/nowhere", headers=headers(SEGMENTS)), 404, "not_found")
    assert_problem(await closed.delete("/segment", headers=headers(SEGMENTS)), 405, "method_not_allowed")


async def test_no_spelling_of_a_path_leads_around_the_gate(closed: AppClient) -> None:
    for path in ("//support", "/support/", "/Support", "/static/../support", "/static/%2e%2e/support", "/livez/"):
        request = closed.build_request("GET", "http://service/")
        request.url = request.url.copy_with(raw_path=path.encode())
        assert (await closed.send(request)).status_code == 401, path


async def test_under_a_prefix_the_same_is_open_and_closed(
    client_factory: ClientFactory, guarded: Callable[..., Settings]
) -> None:
    client = await client_factory(guarded(root_path="/plant"))

    for prefix in ("", "/plant"):
        assert (await client.get(f"{prefix}/livez")).status_code == 200
        assert (await client.get(f"{prefix}/static/main.js")).status_code == 200
        assert (await client.get(f"{prefix}/support")).status_code == 401
        assert (await client.get(f"{prefix}/support", headers=headers(SEGMENTS))).status_code == 200


async def test_the_body_of_a_stranger_is_not_read(guarded: Callable[..., Settings]) -> None:
    app = create_app(guarded())
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body was asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/support",
        "raw_path": b"/support",
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"1000000")],
    }
    await app(scope, receive, send)

    assert sent[0]["status"] == 401


async def test_a_route_added_later_is_closed(guarded: Callable[..., Settings]) -> None:
    app = create_app(guarded())
    nested = FastAPI()
    for holder in (app, nested):
        holder.add_api_route("/later", lambda: "open")
    app.mount("/nested", nested)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        for path in ("/later", "/nested/later"):
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, headers=headers(REGISTERS))).status_code == 403
            assert (await client.get(path, headers=headers(ADMIN))).json() == "open"


async def test_a_websocket_is_closed(tmp_path: Path) -> None:
    keys = KeyRing(write_keys(tmp_path / "keys.json", []))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Gate(FastAPI(), keys, NEEDS)({"type": "websocket", "path": "/"}, None, send)  # type: ignore[arg-type]

    assert sent == [{"type": "websocket.close", "code": 1008}]


async def test_documentation_with_metrics_can_be_opened(
    client_factory: ClientFactory, guarded: Callable[..., Settings]
) -> None:
    client = await client_factory(guarded(docs="open", metrics="open"))

    for path in ("/docs", "/openapi.json", "/metrics"):
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/version")).status_code == 401


async def test_documentation_is_found_under_a_prefix(
    client_factory: ClientFactory, guarded: Callable[..., Settings]
) -> None:
    client = await client_factory(guarded(docs="open", root_path="/plant"))

    assert "'/plant/openapi.json'" in (await client.get("/docs")).text
    assert (await client.get("/plant/openapi.json")).status_code == 200


async def test_documentation_with_metrics_can_be_taken_away(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    client = await client_factory(make_settings(docs="off", metrics="off"))

    for path in ("/docs", "/openapi.json", "/metrics"):
        assert_problem(await client.get(path), 404, "not_found")


async def test_without_a_key_file_everything_is_open(client: AppClient) -> None:
    found = await statuses(client, {})

    assert not {401, 403} & set(found.values())


def test_a_service_does_not_start_without_its_key_file(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="lerenet keys new"):
        create_app(make_settings(api_keys_file=tmp_path / "keys.json"))


async def test_a_damaged_key_file_keeps_the_last_good_one_with_a_warning(tmp_path: Path) -> None:
    path = write_keys(tmp_path / "keys.json", [ADMIN.record])
    now = [0.0]
    app = FastAPI()
    app.add_api_route("/limits", lambda: "fine")
    keys = KeyRing(path, clock=lambda: now[0])
    app.add_middleware(Gate, keys=keys, needs=NEEDS)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        path.write_text("{")
        now[0] += 2
        assert (await client.get("/limits", headers=headers(ADMIN))).status_code == 200
        assert keys.fault is not None
        path.unlink()
        write_keys(path, [SEGMENTS.record])
        now[0] += 2
        assert (await client.get("/limits", headers=headers(ADMIN))).status_code == 401
        assert (await client.get("/limits", headers=headers(SEGMENTS))).status_code == 200
        assert keys.fault is None


async def test_readiness_tells_of_a_damaged_key_file(
    closed: AppClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lerenet.access.ring.LOOK_AGAIN_S", 0)
    assert (await closed.get("/readyz")).json()["warnings"] == []

    (tmp_path / "keys.json").write_text("{")
    answer = await closed.get("/readyz")

    assert answer.status_code == 200
    assert "key file" in answer.json()["warnings"][0]
    assert str(tmp_path) not in answer.text


async def test_a_rate_is_answered_with_what_is_left(tmp_path: Path) -> None:
    slow = issued("segment", requests_per_minute=2)
    now = [0.0]
    app = FastAPI()
    app.add_api_route("/limits", lambda: "fine")
    ring = KeyRing(write_keys(tmp_path / "keys.json", [slow.record]), clock=lambda: now[0])
    app.add_middleware(Gate, keys=ring, needs=NEEDS)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        answers = [await client.get("/limits", headers=headers(slow)) for _ in range(3)]
        now[0] += 30
        later = await client.get("/limits", headers=headers(slow))

    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"key";q=2;w=60'
    assert [each.headers["ratelimit"] for each in answers] == ['"key";r=1;t=30', '"key";r=0;t=60', '"key";r=0;t=60']
    assert (answers[2].json()["code"], answers[2].headers["retry-after"]) == ("rate_exceeded", "30")
    assert later.status_code == 200


async def test_a_class_quota_holds_after_a_restart(make_settings: Callable[..., Settings], tmp_path: Path) -> None:
    few, many = issued("register", max_classes=2), issued("register")
    path = write_keys(tmp_path / "keys.json", [few.record, many.record])
    settings, build = make_settings(api_keys_file=path), engine_with(LevelSegmenter())

    async def register(client: AppClient, name: str, key: IssuedKey) -> httpx.Response:
        return await client.post("/support", **form(*parts(), name=name), headers=headers(key))

    async with running_client(settings, build=build) as client:
        assert [(await register(client, name, few)).status_code for name in "ab"] == [201, 201]
        assert (await register(client, "other", many)).status_code == 201
    async with running_client(settings, build=build) as client:
        refused = await register(client, "c", few)
        assert few.record.prefix in assert_problem(refused, 403, "quota_exceeded", "/name")["detail"]
        put = await client.put("/support/c", **form(*parts()), headers=headers(few))
        assert_problem(put, 403, "quota_exceeded", "/name")
        assert (await register(client, "a", few)).status_code == 200  # the same again
        assert (await client.patch("/support/other", json={"threshold": 0.4}, headers=headers(few))).status_code == 200
        assert (await client.delete("/support/a", headers=headers(few))).status_code == 204
        assert (await register(client, "c", few)).status_code == 201


async def test_keys_are_in_no_log_nor_answer(
    closed: AppClient, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = []
    with structlog.testing.capture_logs() as events:
        for key in (*ALL, issued("admin")):
            for sent in (headers(key), {"Authorization": f"Bearer {key.secret}"}):
                answers += [
                    await closed.get("/support", headers=sent),
                    await closed.post("/support", **form(*parts(), name="a"), headers=sent),
                    await closed.post("/segment", **form(image_part(plate_png())), headers=sent),
                    await closed.get("/support?limit=x", headers=sent),
                    await closed.get("/openapi.json", headers=sent),
                    await closed.get("/metrics", headers=sent),
                ]
    written = [str(events), caplog.text, *capsys.readouterr(), *(f"{each.headers}{each.text}" for each in answers)]

    assert {each["key"] for each in events if "key" in each} == {
        key.record.prefix for key in (SEGMENTS, REGISTERS, ADMIN, NOTHING)
    }
    for key in ALL:
        secret = key.secret.removeprefix(f"{key.record.prefix}_")
        assert not [text for text in written if secret in text or key.record.sha256 in text]
        assert secret not in repr(key)
        assert key.record.sha256 not in repr(key.record)


async def test_the_document_says_what_each_route_needs(closed: AppClient) -> None:
    document = (await closed.get("/openapi.json", headers=headers(SEGMENTS))).json()

    segment = document["paths"]["/segment"]["post"]
    assert segment["security"] == [{"key": ["segment"]}, {"bearer": ["segment"]}]
    assert {"401", "403", "429"} <= set(segment["responses"])
    quota = document["paths"]["/support"]["post"]["responses"]["403"]["content"]["application/problem+json"]
    assert set(quota["examples"]) == {"forbidden", "quota_exceeded"}
    assert document["paths"]["/livez"]["get"]["security"] == []
    assert set(document["components"]["securitySchemes"]) == {"key", "bearer"}


def test_without_keys_the_document_asks_for_none(make_settings: Callable[..., Settings]) -> None:
    assert "security" not in json.dumps(create_app(make_settings()).openapi())


async def test_answers_under_a_key_stay_out_of_shared_caches(closed: AppClient) -> None:
    assert (await closed.get("/support", headers=headers(SEGMENTS))).headers["cache-control"] == "private, no-cache"
