"""Loading, full, late, left, lost, leaving: what callers hear, and that nobody waits in vain."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from api.plates import assert_problem, form, image_part, parts, plate, plate_png, register
from conftest import ClientFactory
from fakes import FailingSegmenter, GatedSegmenter, LevelSegmenter, engine_with
from lerenet.errors import DeviceFailed
from lerenet.imaging import Image, Shot, encode_image_png
from lerenet.inference.encodings import ClassEncoding
from lerenet.runtime.engine import Engine, build_engine
from lerenet.settings import Settings
from serving import AppClient, running_client, wait_until_ready

SOON_S = 5.0


async def segment(client: AppClient) -> httpx.Response:
    return await client.post("/segment", **form(image_part(plate_png())))


async def happens(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, SOON_S)


async def reaches(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SOON_S):
        while not condition():
            await asyncio.sleep(0.005)


async def fill_queue(client: AppClient, segmenter: GatedSegmenter) -> list[asyncio.Task[httpx.Response]]:
    """One frame on the device and one in the line, which wait for the gate."""
    segmenter.gate.clear()
    running = asyncio.create_task(segment(client))
    await happens(segmenter.entered)
    waiting = asyncio.create_task(segment(client))
    await reaches(lambda: client.runtime.require_ready().queue.depth == 1)
    return [running, waiting]


async def test_probes_tell_live_from_ready_while_the_weights_are_loaded(
    client_factory: ClientFactory, settings: Settings
) -> None:
    gate = threading.Event()

    def build(settings: Settings) -> Engine:
        gate.wait(SOON_S)
        return engine_with(LevelSegmenter())(settings)

    client = await client_factory(settings, build, until_ready=False)

    assert (await client.get("/livez")).status_code == 200
    for response in (await client.get("/readyz"), await client.get("/support"), await segment(client)):
        assert_problem(response, 503, "loading")
        assert int(response.headers["retry-after"]) >= 1
    assert (await client.get("/version")).json()["weights"] is None
    assert (await client.get("/metrics")).status_code == 200
    gate.set()
    await wait_until_ready(client)
    assert (await client.get("/support")).status_code == 200


async def test_weights_that_cannot_be_read_ask_for_a_restart(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], tmp_path: object
) -> None:
    client = await client_factory(make_settings(weights=f"{tmp_path}/none"), build_engine, until_ready=False)

    await reaches(lambda: bool(client.losses))
    assert_problem(await client.get("/readyz"), 503, "weights_error")
    assert_problem(await client.get("/livez"), 503, "device_failed")


async def test_a_full_queue_answers_503_with_retry_after(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    segmenter = GatedSegmenter()
    client = await client_factory(make_settings(max_queue_images=1, max_batch_images=1), engine_with(segmenter))
    await register(client)
    accepted = await fill_queue(client, segmenter)

    refused = await segment(client)

    assert_problem(refused, 503, "queue_full")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await client.get("/readyz")).status_code == 200
    segmenter.gate.set()
    assert [(await each).status_code for each in accepted] == [200, 200]


@pytest.mark.parametrize("root_path", ["", "/lerenet"])
async def test_a_full_queue_refuses_before_anything_is_decoded(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], root_path: str
) -> None:
    segmenter = GatedSegmenter()
    settings = make_settings(max_queue_images=1, max_batch_images=1, root_path=root_path)
    client = await client_factory(settings, engine_with(segmenter))
    await register(client)
    accepted = await fill_queue(client, segmenter)

    refused = await client.post("/segment", content=b"no image", headers={"Content-Type": "image/png"})

    assert_problem(refused, 503, "queue_full")
    assert 'route="/segment"' in (await client.get("/metrics")).text
    segmenter.gate.set()
    await asyncio.gather(*accepted)


async def test_a_request_past_its_deadline_answers_504(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    segmenter = GatedSegmenter()
    client = await client_factory(make_settings(deadline_s=0.2), engine_with(segmenter))
    await register(client)
    segmenter.gate.clear()

    response = await segment(client)

    assert_problem(response, 504, "deadline_exceeded")
    segmenter.gate.set()


async def test_a_caller_who_leaves_while_waiting_costs_no_work(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    segmenter = GatedSegmenter()
    client = await client_factory(make_settings(max_batch_images=1), engine_with(segmenter))
    await register(client)
    segmenter.gate.clear()
    running = asyncio.create_task(segment(client))
    await happens(segmenter.entered)

    status = await answer_of_one_who_leaves(client)

    n_before = segmenter.n_segmented
    segmenter.gate.set()
    assert (await running).status_code == 200
    assert (await segment(client)).status_code == 200
    assert status is None
    assert segmenter.n_segmented == n_before + 2
    assert 'code="499",method="POST",route="/segment"} 1.0' in (await client.get("/metrics")).text


async def answer_of_one_who_leaves(client: AppClient) -> int | None:
    """Posts a frame straight to the application, and hangs up once it stands in the queue."""
    app = client._transport.app  # type: ignore[attr-defined]
    body = [{"type": "http.request", "body": plate_png(), "more_body": False}]
    statuses: list[int] = []

    async def receive() -> dict[str, object]:
        if body:
            return body.pop()
        await reaches(lambda: client.runtime.require_ready().queue.depth == 1)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/segment",
        "raw_path": b"/segment",
        "query_string": b"",
        "headers": [(b"content-type", b"image/png"), (b"host", b"service")],
        "scheme": "http",
        "server": ("service", 80),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
        "root_path": "",
    }
    await app(scope, receive, send)
    return statuses[0] if statuses else None


async def test_a_lost_device_fails_all_who_wait_and_turns_both_probes_red(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    segmenter = GatedSegmenter()
    failing = FailingSegmenter()
    segmenter.run = lambda jobs: GatedSegmenter.run(segmenter, jobs) and failing.run(jobs)  # type: ignore[method-assign]
    client = await client_factory(make_settings(max_batch_images=1), engine_with(segmenter))
    await register(client)
    segmenter.gate.clear()
    callers = [asyncio.create_task(segment(client)) for _ in range(3)]
    await happens(segmenter.entered)
    await reaches(lambda: client.runtime.require_ready().queue.depth == 2)
    failing.error = DeviceFailed("the card fell off the bus")

    segmenter.gate.set()
    responses = await asyncio.wait_for(asyncio.gather(*callers), 1.0)

    for response in responses:
        assert_problem(response, 503, "device_failed")
        assert "bus" not in response.text
    await reaches(lambda: bool(client.losses))
    assert len(client.losses) == 1
    assert_problem(await client.get("/readyz"), 503, "device_failed")
    assert_problem(await client.get("/livez"), 503, "device_failed")
    assert_problem(await segment(client), 503, "device_failed")


async def test_a_batch_that_stalls_turns_both_probes_red(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    segmenter = GatedSegmenter()
    client = await client_factory(make_settings(stall_s=0.1), engine_with(segmenter))
    await register(client)
    segmenter.gate.clear()
    stuck = asyncio.create_task(segment(client))
    await happens(segmenter.entered)
    await asyncio.sleep(0.2)

    assert_problem(await client.get("/readyz"), 503, "device_failed")
    assert_problem(await client.get("/livez"), 503, "device_failed")
    segmenter.gate.set()
    await stuck


async def test_stopping_lets_accepted_work_finish(settings: Settings) -> None:
    segmenter = GatedSegmenter()
    async with running_client(settings, build=engine_with(segmenter)) as client:
        await register(client)
        segmenter.gate.clear()
        accepted = asyncio.create_task(segment(client))
        await happens(segmenter.entered)
        stopping = asyncio.create_task(client.runtime.__aexit__(None, None, None))
        await reaches(lambda: client.runtime.phase == "draining")

        refused = await segment(client)
        probe = await client.get("/readyz")
        segmenter.gate.set()

        assert (await accepted).status_code == 200
        await stopping
        assert_problem(refused, 503, "draining")
        assert_problem(probe, 503, "draining")


async def test_work_that_the_server_gives_up_on_is_told(client_factory: ClientFactory, settings: Settings) -> None:
    """What uvicorn does to requests that outlast the time to drain: it cancels them."""
    segmenter = GatedSegmenter()
    client = await client_factory(settings, engine_with(segmenter))
    await register(client)
    segmenter.gate.clear()
    waiting = asyncio.create_task(segment(client))
    await happens(segmenter.entered)

    waiting.cancel()
    answer = await waiting

    assert_problem(answer, 503, "draining")
    segmenter.gate.set()


async def test_a_poison_image_fails_alone(client_factory: ClientFactory, settings: Settings) -> None:
    """Requests share a batch with one that cannot be run; only that one hears of it."""
    segmenter = GatedSegmenter()
    honest = segmenter.run

    def choke(jobs: list[object]) -> object:
        if any(job.image[0, 0] == 7 for job in jobs):  # type: ignore[attr-defined]
            raise RuntimeError("choked")
        return honest(jobs)  # type: ignore[arg-type]

    segmenter.run = choke  # type: ignore[assignment,method-assign]
    client = await client_factory(settings, engine_with(segmenter))
    await register(client)
    poison = plate()
    poison[0, 0] = 7
    frames = [plate_png()] * 3 + [encode_image_png(poison)]

    responses = await asyncio.gather(*[client.post("/segment", **form(image_part(frame))) for frame in frames])

    assert [response.status_code for response in responses] == [200, 200, 200, 500]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/limits", "/version", "/"])
async def test_operations_answer_while_the_device_is_busy(
    client_factory: ClientFactory, settings: Settings, path: str
) -> None:
    segmenter = GatedSegmenter()
    client = await client_factory(settings, engine_with(segmenter))
    await register(client)
    segmenter.gate.clear()
    busy = asyncio.create_task(segment(client))
    await happens(segmenter.entered)

    assert (await asyncio.wait_for(client.get(path), SOON_S)).status_code == 200
    segmenter.gate.set()
    await busy


async def test_a_class_replaced_meanwhile_does_not_change_an_answer_under_way(
    client_factory: ClientFactory, settings: Settings
) -> None:
    segmenter = GatedSegmenter()
    client = await client_factory(settings, engine_with(segmenter))
    before = await register(client)
    segmenter.gate.clear()
    under_way = asyncio.create_task(segment(client))
    await happens(segmenter.entered)
    replacing = asyncio.create_task(client.put("/support/scratches", **form(*parts(level=90))))
    await asyncio.sleep(0.05)
    segmenter.gate.set()

    [found] = (await under_way).json()["results"][0]["classes"]

    assert (await replacing).status_code == 200
    assert found["revision"] == before["revision"]
    [found] = (await segment(client)).json()["results"][0]["classes"]
    assert found["revision"] != before["revision"]


class PatientSegmenter(LevelSegmenter):
    """Once it is to wait, goes on encoding until a frame has been segmented meanwhile, or for five seconds."""

    waits = False

    def encode_in_steps(self, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> Iterator[ClassEncoding | None]:
        n_before = self.n_segmented
        for _ in range(500 if self.waits else 0):
            if self.n_segmented > n_before:
                break
            time.sleep(0.01)
            yield None
        yield self.encode_unfitted(shots)


async def test_frames_are_segmented_while_a_class_is_being_registered(
    client_factory: ClientFactory, settings: Settings
) -> None:
    segmenter = PatientSegmenter()
    client = await client_factory(settings, engine_with(segmenter))
    await register(client, "first")
    n_before, segmenter.waits = segmenter.n_segmented, True

    registration = asyncio.create_task(register(client, "second", level=90))
    await asyncio.sleep(0.05)
    answer = await segment(client)
    await registration

    assert answer.status_code == 200
    assert segmenter.n_segmented == n_before + 1
    assert [each["name"] for each in answer.json()["results"][0]["classes"]] == ["first"]
