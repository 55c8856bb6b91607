from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface.interface import LabelInterface
from label_studio_sdk.label_interface.objects import PredictionValue

from api.plates import HEIGHT, WIDTH, assert_problem, bar, plate_png, register
from api.studio import TOKEN, Studio, running_studio
from conftest import ClientFactory
from lerenet.api.label_studio_host import LabelStudioHost
from lerenet.runtime.admission import Budget
from lerenet.settings import Settings
from serving import AppClient

CONFIG = """<View><Image name="photo" value="$plate"/>
  <BrushLabels name="paint" toName="photo">
    <Label value="Scratch" predicted_values="scratches"/><Label value="Pits"/><Label value="Other"/>
  </BrushLabels></View>"""
UPLOAD = "/data/upload/1/plate.png"


@pytest.fixture
def studio() -> Iterator[Studio]:
    with running_studio() as studio:
        studio.files[UPLOAD] = plate_png()
        yield studio


@pytest.fixture
async def backend(client_factory: ClientFactory, make_settings: Callable[..., Settings], studio: Studio) -> AppClient:
    return await client_factory(make_settings(label_studio_url=studio.url, label_studio_token=TOKEN))


def tasks(*addresses: str) -> dict[str, Any]:
    """A request as Label Studio sends it, with more than is needed."""
    sent = [{"id": i, "data": {"text": "a", "plate": each}, "drafts": []} for i, each in enumerate(addresses)]
    return {"tasks": sent, "label_config": CONFIG, "project": "1.2", "params": {"context": None}}


def painted(prediction: dict[str, Any]) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Label and alpha of each result, as the SDK reads them."""
    return [
        (
            each["value"]["brushlabels"][0],
            np.asarray(decode_rle(each["value"]["rle"])).reshape(HEIGHT, WIDTH, 4)[..., 3],
        )
        for each in prediction["result"]
    ]


async def test_tasks_are_painted_under_their_labels(backend: AppClient) -> None:
    registered = await register(backend, "scratches")
    await register(backend, "cracks")

    response = await backend.post("/predict", json=tasks(UPLOAD))

    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["model_version"] == f"scratches@{registered['revision']}"
    [prediction] = answer["results"]
    assert prediction["model_version"] == answer["model_version"]
    [(label, alpha)] = painted(prediction)
    assert label == "Scratch"
    assert np.array_equal(alpha, 255 * bar())


async def test_predictions_are_what_the_sdk_takes(backend: AppClient) -> None:
    for name, level in (("scratches", 200), ("pits", 120)):
        await register(backend, name, level)

    response = await backend.post("/predict", json=tasks(UPLOAD))

    [prediction] = response.json()["results"]
    assert LabelInterface(CONFIG).validate_prediction(prediction, return_errors=True) == []
    assert PredictionValue.model_validate(prediction).model_dump() == prediction


async def test_tasks_keep_their_order_over_several_batches(backend: AppClient, studio: Studio) -> None:
    await register(backend)
    studio.files["/data/clean.png"] = plate_png(level=20)
    addresses = [UPLOAD if i % 3 else "/data/clean.png" for i in range(20)]

    response = await backend.post("/predict", json=tasks(*addresses))

    assert [bool(each["result"]) for each in response.json()["results"]] == [each == UPLOAD for each in addresses]


@pytest.mark.parametrize("address", ["{url}" + UPLOAD, UPLOAD, "{url}/moved.png"])
async def test_images_are_read_from_the_configured_host(backend: AppClient, studio: Studio, address: str) -> None:
    await register(backend)
    studio.redirects["/moved.png"] = UPLOAD

    response = await backend.post("/predict", json=tasks(address.format(url=studio.url)))

    assert response.status_code == 200, response.text
    assert studio.asked[-1] == (UPLOAD, f"Token {TOKEN}")


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:1/plate.png",
        "https://127.0.0.1/plate.png",
        "//elsewhere.example/plate.png",
        "http://elsewhere.example/plate.png",
        "{url}@elsewhere.example/plate.png",
        "s3://bucket/plate.png",
        "file:///etc/passwd",
        "http://[",
        "/away.png",
    ],
)
async def test_no_other_host_is_asked(backend: AppClient, studio: Studio, address: str) -> None:
    await register(backend)
    with running_studio() as other:
        studio.redirects["/away.png"] = other.url + UPLOAD

        response = await backend.post("/predict", json=tasks(UPLOAD, address.format(url=studio.url)))

        assert other.asked == []
    assert_problem(response, 422, "malformed_request", "/tasks/1/data")


async def test_a_circle_of_redirects_ends(backend: AppClient, studio: Studio) -> None:
    await register(backend)
    studio.redirects["/round.png"] = "/round.png"

    response = await backend.post("/predict", json=tasks("/round.png"))

    assert_problem(response, 502, "service_error", "/tasks/0/data")


async def test_an_image_that_label_studio_keeps_answers_502(backend: AppClient) -> None:
    await register(backend)

    response = await backend.post("/predict", json=tasks("/data/missing.png"))

    body = assert_problem(response, 502, "service_error", "/tasks/0/data")
    assert "404" in body["detail"]


async def test_a_wrong_token_answers_502_naming_the_setting(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], studio: Studio
) -> None:
    backend = await client_factory(make_settings(label_studio_url=studio.url))
    await register(backend)

    response = await backend.post("/predict", json=tasks(UPLOAD))

    assert "LERENET_LABEL_STUDIO_TOKEN" in assert_problem(response, 502, "service_error")["detail"]


async def test_a_broken_image_is_refused_by_its_task(backend: AppClient, studio: Studio) -> None:
    await register(backend)
    studio.files["/broken.png"] = plate_png()[:40]

    response = await backend.post("/predict", json=tasks(*[UPLOAD] * 9, "/broken.png"))

    assert_problem(response, 422, "undecodable_image", "/tasks/9/data")


async def test_a_large_file_is_not_read_to_its_end(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], studio: Studio
) -> None:
    backend = await client_factory(
        make_settings(label_studio_url=studio.url, label_studio_token=TOKEN, max_body_bytes=20_000)
    )
    await register(backend)
    studio.files["/large.png"] = bytes(20_001)

    response = await backend.post("/predict", json=tasks("/large.png"))

    assert_problem(response, 413, "body_too_large", "/tasks/0/data")
    assert backend.runtime.bodies.held == 0


@pytest.mark.parametrize("data", [{}, {"plate": ""}, {"plate": 7}, {"image": UPLOAD}])
async def test_a_task_without_an_image_is_refused(backend: AppClient, data: dict[str, Any]) -> None:
    await register(backend)

    response = await backend.post("/predict", json={"tasks": [{"data": data}], "label_config": CONFIG})

    assert_problem(response, 422, "malformed_request", "/tasks/0/data")


async def test_without_a_class_for_the_labels_nothing_is_predicted(backend: AppClient) -> None:
    await register(backend, "cracks")

    assert_problem(await backend.post("/predict", json=tasks(UPLOAD)), 409, "no_support_classes")


async def test_setup_names_the_classes_that_will_be_used(backend: AppClient) -> None:
    sent = {"schema": CONFIG, "project": "1.2", "hostname": "http://elsewhere.example", "access_token": "x"}
    before = await backend.post("/setup", json=sent)
    registered = await register(backend, "pits")
    after = await backend.post("/setup", json=sent)

    assert before.json() == {"model_version": "lerenet"}
    assert after.json() == {"model_version": f"pits@{registered['revision']}"}


async def test_setup_of_a_project_without_a_brush_is_refused(backend: AppClient) -> None:
    assert_problem(await backend.post("/setup", json={"schema": "<View/>"}), 422, "malformed_request", "/schema")


async def test_health_is_up(backend: AppClient) -> None:
    assert (await backend.get("/health")).json() == {"status": "UP", "model_class": "LERENet"}


async def test_the_routes_are_documented_where_they_are(backend: AppClient) -> None:
    document = (await backend.get("/openapi.json")).json()

    assert {"/predict", "/setup", "/health"} <= document["paths"].keys()
    assert document["paths"]["/predict"]["post"]["responses"].keys() >= {"200", "409", "422", "502"}


async def test_without_the_setting_there_are_no_such_routes(client: AppClient) -> None:
    answers = [
        await client.post("/predict", json={}),
        await client.post("/setup", json={}),
        await client.get("/health"),
    ]

    assert [each.status_code for each in answers] == [404, 404, 404]


async def streamed(text: str) -> AsyncIterator[bytes]:
    for character in text:
        yield character.encode()


async def test_a_personal_token_is_exchanged_first() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert request.url.path == "/studio/api/token/refresh"
            return httpx.Response(200, json={"access": "short-lived"})
        assert request.url.path == "/studio/data/a.png"
        return httpx.Response(200, content=streamed(request.headers["authorization"]))

    transport = httpx.MockTransport(answer)
    async with LabelStudioHost("http://ls/studio", token="a.b.c", max_bytes=99, transport=transport) as host:
        await host.sign_in()
        with Budget(99, "bytes", lambda: 1.0).share() as share:
            assert await host.fetch("/data/a.png", share, "") == b"Bearer short-lived"
            assert await host.fetch("/studio/data/a.png", share, "") == b"Bearer short-lived"
