from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from client.fake_service import LIMITS, FakeService, fields, parts, problem
from lerenet.api.documents import CLASS_EXAMPLE, RESULT_EXAMPLE
from lerenet.client import Client, ServiceProblem
from lerenet.client.connection import MAX_RETRIES
from lerenet.errors import ConfigurationError, InvalidSupport, ServiceError
from lerenet.imaging import (
    decode_image,
    decode_mask,
    encode_bilevel_png,
    encode_grey_png,
    encode_image_png,
    mask_from_probability,
)

PLATE: NDArray[np.uint8] = np.full((20, 30), 90, np.uint8)
PLATE[4:8, 5:15] = 240
MASK: NDArray[np.uint8] = (PLATE > 200).astype(np.uint8)


def connected(service: FakeService, sleep: Callable[[float], None] = lambda seconds: None) -> Client:
    return Client("http://plant.example", transport=service.transport, sleep=sleep)


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def client(service: FakeService) -> Client:
    return connected(service)


def test_register_returns_the_class(client: Client) -> None:
    registered = client.register("spots", [(PLATE, MASK)], normals=[PLATE], threshold=0.25)
    assert (registered.name, registered.threshold, registered.normals) == ("spots", 0.25, 1)
    assert [(shot.height, shot.width, shot.area_px) for shot in registered.shots] == [(20, 30, 40)]
    assert registered.quality is not None
    assert registered.quality.loo_iou == 0.75


def test_register_sends_pairs_in_order(client: Client, service: FakeService, tmp_path: Path) -> None:
    path = tmp_path / "plate.png"
    path.write_bytes(b"first image")
    client.register("spots", [(path, encode_bilevel_png(MASK)), (b"second image", MASK)])
    sent = parts(service.requests[0])
    assert [(part.field, part.filename, part.data) for part in sent if part.field == "images"] == [
        ("images", "plate.png", b"first image"),
        ("images", "1", b"second image"),
    ]
    masks = [decode_mask(part.data, LIMITS) for part in sent if part.field == "masks"]
    assert [np.array_equal(mask, MASK) for mask in masks] == [True, True]


def test_register_sends_arrays_without_loss(client: Client, service: FakeService) -> None:
    client.register("spots", [(PLATE, MASK.astype(bool))])
    image, mask = (part.data for part in parts(service.requests[0]) if part.filename)
    assert np.array_equal(decode_image(image, LIMITS), PLATE)
    assert np.array_equal(decode_mask(mask, LIMITS), MASK)


def test_register_replaces_when_asked(client: Client) -> None:
    client.register("spots", [(PLATE, MASK)])
    with pytest.raises(ServiceProblem, match="taken by other content"):
        client.register("spots", [(PLATE, MASK)] * 2)
    assert len(client.register("spots", [(PLATE, MASK)] * 2, replace=True).shots) == 2


def test_register_refuses_a_class_without_shots(client: Client, service: FakeService) -> None:
    with pytest.raises(InvalidSupport):
        client.register("spots", [])
    assert service.requests == []


def test_classes_reads_every_page(client: Client, service: FakeService) -> None:
    service.page_size = 2
    for name in ("dents", "cracks", "pits", "stains", "spots"):
        client.register(name, [(PLATE, MASK)])
    assert [each.name for each in client.classes()] == ["cracks", "dents", "pits", "spots", "stains"]


def test_delete_forgets_the_class(client: Client) -> None:
    client.register("spots", [(PLATE, MASK)])
    client.delete("spots")
    with pytest.raises(ServiceProblem) as caught:
        client.get("spots")
    assert (caught.value.status, caught.value.code) == (404, "unknown_class")


def test_names_stay_one_part_of_the_path(client: Client, service: FakeService) -> None:
    with pytest.raises(ServiceProblem):
        client.get("a/../b@1")
    assert service.requests[0].url.raw_path.endswith(b"/support/a%2F..%2Fb@1")


def test_segment_decodes_masks(client: Client) -> None:
    client.register("spots", [(PLATE, MASK)])
    [frame] = client.segment([encode_image_png(PLATE)])
    found = frame.classes[0]
    assert found.mask is not None
    assert found.mask.dtype == np.uint8
    assert np.array_equal(found.mask, MASK)
    assert (found.bbox, found.regions[0].area_px) == ((5, 4, 10, 4), 40)
    assert (frame.height, frame.width, frame.weights, frame.request_id) == (20, 30, "ab" * 32, "q-1")


def test_segment_sends_what_is_asked_for(client: Client, service: FakeService) -> None:
    for name in ("pits", "spots"):
        client.register(name, [(PLATE, MASK)])
    client.segment([PLATE], ["spots", "pits"], 0.0, min_area_px=3, min_score=0.4, roi=(1, 2, 3, 4), bits=12)
    assert fields(service.requests[-1]) == {
        "classes": "spots,pits",
        "threshold": "0.0",
        "min_area_px": "3",
        "min_score": "0.4",
        "roi": "1,2,3,4",
        "bits": "12",
        "format": "coco_rle",
    }


def test_segment_carries_metadata_there_and_back(client: Client, service: FakeService) -> None:
    client.register("spots", [(PLATE, MASK)])
    taken_at = datetime(2026, 3, 2, 8, 15, 30, tzinfo=UTC)
    [frame] = client.segment([PLATE], metadata={"station": "press-3", "timestamp": taken_at, "exposure_ms": 4.5})
    sent = fields(service.requests[-1])
    assert (sent["station"], sent["timestamp"]) == ("press-3", "2026-03-02T08:15:30+00:00")
    assert json.loads(sent["metadata"]) == {"exposure_ms": 4.5}
    assert frame.metadata == {"station": "press-3", "timestamp": "2026-03-02T08:15:30+00:00", "exposure_ms": 4.5}


def test_segment_decodes_probabilities(client: Client, service: FakeService) -> None:
    q = np.arange(600, dtype=np.uint16).reshape(20, 30).astype(np.uint8)
    service.answers = [_answer_with(_png_field(q))]
    decoded = client.segment([PLATE], mask="probability")[0].classes[0].mask
    assert decoded is not None
    assert np.array_equal(decoded, q)
    assert np.array_equal(mask_from_probability(decoded, 0.5), q >= 128)


def test_segment_fills_polygons(client: Client, service: FakeService) -> None:
    mask = {"size": [20, 30], "polygons": [[5, 4, 15, 4, 15, 8, 5, 8]]}
    service.answers = [_answer_with(mask)]
    assert np.array_equal(client.segment([PLATE])[0].classes[0].binary_mask, MASK)


@pytest.mark.parametrize("mask", [{"model_version": "1", "result": []}, {"type": "mask", "label": "spots", "mask": []}])
def test_mask_for_another_tool_says_that_it_is_not_read(
    client: Client, service: FakeService, mask: dict[str, object]
) -> None:
    service.answers = [_answer_with(mask)]
    with pytest.raises(ServiceError, match="another tool"):
        client.segment([PLATE])


def test_result_without_a_mask_says_what_to_ask_for(client: Client, service: FakeService) -> None:
    service.answers = [_answer_with(None)]
    [result] = client.segment([PLATE], mask="none")
    with pytest.raises(ServiceError, match="mask='binary'"):
        _ = result.classes[0].binary_mask


def test_segment_asks_nothing_about_no_images(client: Client, service: FakeService) -> None:
    assert client.segment([]) == []
    assert service.requests == []


def test_client_reads_the_documented_examples(client: Client, service: FakeService) -> None:
    service.answers = [
        httpx.Response(200, json=CLASS_EXAMPLE),
        httpx.Response(200, json=RESULT_EXAMPLE),
    ]
    assert client.get("scratches").revision == CLASS_EXAMPLE["revision"]
    assert client.segment([PLATE])[0].classes[0].binary_mask.sum() == 4


def test_problem_carries_the_words_of_the_service(client: Client, service: FakeService) -> None:
    service.answers = [problem(422, "undecodable_image", "the image is truncated", pointer="/images/3")]
    with pytest.raises(ServiceProblem) as caught:
        client.segment([PLATE])
    error = caught.value
    assert (error.status, error.code, error.detail) == (422, "undecodable_image", "the image is truncated")
    assert (error.pointer, error.request_id, error.parts[0].detail) == ("/images/3", "q-1", "the image is truncated")


def test_answer_of_a_proxy_is_quoted(client: Client, service: FakeService) -> None:
    service.answers = [httpx.Response(502, html="<h1>Bad   Gateway</h1>")]
    with pytest.raises(ServiceProblem, match="Bad Gateway") as caught:
        client.classes()
    assert (caught.value.status, caught.value.code) == (502, "not_a_problem")


def test_busy_service_is_asked_again_after_the_time_it_names(service: FakeService) -> None:
    waits: list[float] = []
    busy = [problem(503, "queue_full", "full", retry_after=wait) for wait in ("3", "1")]
    service.answers = [*busy, httpx.Response(200, json={"classes": [], "next": None})]
    assert connected(service, waits.append).classes() == []
    assert waits == [3.0, 1.0]


def test_busy_service_is_given_up_after_some_retries(service: FakeService) -> None:
    service.answers = [problem(503, "queue_full", "full", retry_after="1") for _ in range(MAX_RETRIES + 2)]
    with pytest.raises(ServiceProblem, match="full") as caught:
        connected(service).classes()
    assert (caught.value.retry_after_s, len(service.requests)) == (1.0, MAX_RETRIES + 1)


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "device_failed", "lost"),
        problem(503, "loading", "much later", retry_after="86400"),
        problem(500, "internal_error", "broken", retry_after="1"),
    ],
)
def test_failure_that_no_short_wait_mends_is_told_at_once(service: FakeService, answer: httpx.Response) -> None:
    service.answers = [answer]
    with pytest.raises(ServiceProblem):
        connected(service).classes()
    assert len(service.requests) == 1


def test_uploads_are_sent_again_in_full(service: FakeService) -> None:
    service.answers = [problem(503, "queue_full", "full", retry_after="1")]
    connected(service).register("spots", [(PLATE, MASK)])
    first, second = ([(part.field, part.data) for part in parts(request)] for request in service.requests)
    assert first == second


def test_ready_tells_whether_requests_are_answered(client: Client, service: FakeService) -> None:
    service.answers = [problem(503, "loading", "weights are loading", retry_after="1")]
    assert not client.ready()
    assert client.ready()
    assert len(service.requests) == 2


def test_service_that_is_not_there_is_named() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    with (
        Client("http://plant.example:8000/", transport=httpx.MockTransport(refuse)) as client,
        pytest.raises(
            ServiceError, match=r"http://plant.example:8000 cannot be reached \(connection refused\)"
        ) as told,
    ):
        client.classes()
    assert not isinstance(told.value, ServiceProblem)


def test_silence_is_told_with_its_length() -> None:
    def stay_silent(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out")

    with (
        Client("http://plant.example", timeout_s=7, transport=httpx.MockTransport(stay_silent)) as client,
        pytest.raises(ServiceError, match="within 7 s"),
    ):
        client.classes()


@pytest.mark.parametrize("body", ['{"classes": 3}', "no JSON", '{"classes": [{"name": "spots"}]}'])
def test_answer_of_another_form_is_an_error_of_ours(client: Client, service: FakeService, body: str) -> None:
    service.answers = [httpx.Response(200, text=body)]
    with pytest.raises(ServiceError, match="both of one version"):
        client.classes()


@pytest.mark.parametrize("mask", [{"counts": "5220;"}, {"size": [4, 6], "counts": "!"}, {"size": 3, "png": ""}])
def test_damaged_mask_is_an_error_of_ours(client: Client, service: FakeService, mask: dict[str, object]) -> None:
    service.answers = [_answer_with(mask)]
    with pytest.raises(ServiceError, match="both of one version"):
        client.segment([PLATE])


@pytest.mark.parametrize("url", ["plant.example:8000", "ftp://plant.example", "http://", "http://plant.example:port"])
def test_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="http"):
        Client(url)


def test_path_of_the_address_is_kept(service: FakeService) -> None:
    with Client("http://plant.example/line-3/", transport=service.transport) as client:
        assert not client.ready()
    assert service.requests[0].url.path == "/line-3/readyz"


def test_key_is_sent_as_a_bearer_token(service: FakeService) -> None:
    with Client(
        "http://plant.example", api_key="lere_1", transport=service.transport
    ) as client:  # pragma: allowlist secret
        client.classes()
    assert service.requests[0].headers["authorization"] == "Bearer lere_1"


def test_key_may_come_with_the_line_break_of_its_file(service: FakeService) -> None:
    with Client("http://plant.example", api_key="lere_1\n", transport=service.transport) as client:
        client.classes()
    assert service.requests[0].headers["authorization"] == "Bearer lere_1"


@pytest.mark.parametrize("key", ["", " ", "lere_1\r\nX-Evil: 1", "lere_ü", "two words"])
def test_key_that_cannot_be_sent_is_refused_unquoted(key: str) -> None:
    with pytest.raises(ConfigurationError, match="copied whole") as refused:
        Client("http://plant.example", api_key=key)
    assert key.strip() == "" or key not in str(refused.value)


def test_client_needs_nothing_of_an_extra() -> None:
    code = "import sys, lerenet.client; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    extras = ("torch", "fastapi", "uvicorn", "scipy", "structlog", "safetensors", "pydantic_settings", "matplotlib")
    assert [module for module in extras if repr(module) in loaded] == []
    assert "'httpx'" in loaded


def _png_field(q: NDArray[np.uint8]) -> dict[str, object]:
    from base64 import b64encode

    return {"size": list(q.shape), "png": b64encode(encode_grey_png(q)).decode()}


def _answer_with(mask: object) -> httpx.Response:
    found = {**RESULT_EXAMPLE["results"][0]["classes"][0], "mask": mask}
    frame = {**RESULT_EXAMPLE["results"][0], "classes": [found]}
    return httpx.Response(200, json={**RESULT_EXAMPLE, "results": [frame]})
