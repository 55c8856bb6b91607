"""Faults of disk, files, clock and device as callers meet them over HTTP."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from api.plates import assert_problem, form, image_part, parts, plate_png, register
from api.test_overload import happens, reaches, segment
from conftest import ClientFactory
from fakes import FailingSegmenter, GatedSegmenter, LevelSegmenter, engine_with
from lerenet.settings import Settings
from lerenet.support import SqliteStore
from serving import AppClient, running_client
from support.test_fallback import damage_page

DAY_S = 86_400.0


async def readiness(client: AppClient) -> dict[str, object]:
    response = await client.get("/readyz")
    assert response.status_code == 200
    body: dict[str, object] = response.json()
    return body


def file_system(monkeypatch: pytest.MonkeyPatch, **facts: int) -> None:
    """The file system as `os.statvfs` tells of it."""
    facts = {"f_flag": 0, "f_bavail": 1 << 30, "f_frsize": 4096, **facts}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(**facts))


async def test_a_full_disk_refuses_registrations_and_segments_frames(
    client: AppClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(client)

    def find_no_room(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        file_system(full, f_bavail=3)
        full.setattr(os, "fsync", find_no_room)
        refused = await client.post("/support", **form(*parts(level=90), name="other"))
        tuned = await client.patch("/support/scratches", json={"description": "other"})
        answered = await segment(client)
        ready = await readiness(client)

    for response in (refused, tuned):
        body = assert_problem(response, 507, "storage_full")
        assert "Free disk space" in body["detail"]
        assert str(client.runtime.settings.data_dir) not in response.text
    assert answered.status_code == 200
    assert ready["registry"] == "full"
    # with room again the same request goes through, without a restart
    assert (await client.post("/support", **form(*parts(level=90), name="other"))).status_code == 201
    assert (await readiness(client))["registry"] == "writable"


async def test_a_read_only_folder_is_told(client: AppClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await register(client)
    with monkeypatch.context() as read_only:
        file_system(read_only, f_flag=os.ST_RDONLY)
        ready = await readiness(client)

    assert ready["registry"] == "read_only"
    assert "read-only" in str(ready["detail"])
    assert (await client.get("/livez")).status_code == 200


async def test_a_damaged_index_segments_frames_and_takes_no_registrations(
    client_factory: ClientFactory, settings: Settings
) -> None:
    async with running_client(settings, build=engine_with(LevelSegmenter())) as before:
        registered = await register(before)
    damage_page(settings.data_dir)
    client = await client_factory(settings)

    [found] = (await segment(client)).json()["results"][0]["classes"]

    assert found["revision"] == registered["revision"]
    refused = await client.delete("/support/scratches")
    assert "verify --rebuild" in assert_problem(refused, 503, "registry_read_only")["detail"]
    assert (await readiness(client))["registry"] == "read_only"
    assert (await client.get("/livez")).status_code == 200


async def test_a_damaged_image_costs_its_own_class_alone(client_factory: ClientFactory, settings: Settings) -> None:
    async with running_client(settings, build=engine_with(LevelSegmenter())) as before:
        await register(before, "whole")
        await register(before, "broken", level=90)
    store = SqliteStore(settings.data_dir)
    record = store.current("broken")
    store.close()
    assert record is not None
    sha256 = record.shots[0].image_sha256
    (settings.data_dir / "blobs" / sha256[:2] / sha256).write_bytes(b"rot")
    client = await client_factory(settings, engine_with(LevelSegmenter(), weights_digest="1" * 64))

    everything = await segment(client)
    whole = await client.post("/segment", **form(image_part(plate_png()), classes="whole"))
    one = await client.post("/segment", **form(image_part(plate_png()), classes="broken"))
    picture = await client.post(
        "/segment", content=plate_png(), headers={"Content-Type": "image/png", "Accept": "image/png"}
    )

    assert [each["name"] for each in whole.json()["results"][0]["classes"]] == ["whole"]
    for unnamed in (everything, picture):  # nobody takes a frame for clean because a class was left out
        assert "'broken'" in assert_problem(unnamed, 503, "class_damaged")["detail"]
    assert "'broken'" in assert_problem(one, 503, "class_damaged")["detail"]
    assert_problem(await client.get("/support/broken/shots/0/image"), 503, "class_damaged")
    assert (await readiness(client))["unavailable"] == ["broken"]
    # the same images again mend it
    assert (await client.post("/support", **form(*parts(level=90), name="broken"))).status_code == 200
    assert (await segment(client)).status_code == 200
    assert (await readiness(client))["unavailable"] == []


async def test_a_corrupt_prototype_cache_costs_an_encoding(client_factory: ClientFactory, settings: Settings) -> None:
    async with running_client(settings, build=engine_with(LevelSegmenter())) as before:
        await register(before)
        expected = (await segment(before)).json()["results"]
    for path in (settings.data_dir / "prototypes").rglob("*.prototypes"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    segmenter = LevelSegmenter()
    client = await client_factory(settings, engine_with(segmenter))

    assert (await segment(client)).json()["results"] == expected
    assert segmenter.n_encoded == 2  # the trial of the device, and the class again


async def test_one_of_two_hundred_writes_at_one_revision_wins(client: AppClient) -> None:
    before = await register(client)
    headers = {"If-Match": f'"{before["revision"]}"'}
    bodies = [{"description": f"writer {n}"} for n in range(200)]

    responses = await asyncio.gather(
        *[client.patch("/support/scratches", json=body, headers=headers) for body in bodies]
    )

    statuses = [response.status_code for response in responses]
    assert (statuses.count(200), statuses.count(412)) == (1, 199)
    winner = statuses.index(200)
    assert (await client.get("/support/scratches")).json()["description"] == f"writer {winner}"


async def test_a_device_that_hangs_is_given_up(
    client_factory: ClientFactory, make_settings: Callable[..., Settings]
) -> None:
    segmenter = GatedSegmenter()
    client = await client_factory(make_settings(stall_s=0.2, max_batch_images=1), engine_with(segmenter))
    await register(client)
    segmenter.gate.clear()
    callers = [asyncio.create_task(segment(client)) for _ in range(3)]
    await happens(segmenter.entered)

    await reaches(lambda: bool(client.losses))
    responses = await asyncio.wait_for(asyncio.gather(*callers), 1.0)

    for response in responses:
        assert_problem(response, 503, "device_failed")
    assert_problem(await client.get("/readyz"), 503, "device_failed")
    assert_problem(await client.get("/livez"), 503, "device_failed")
    segmenter.gate.set()
    await asyncio.sleep(0.05)
    assert_problem(await segment(client), 503, "device_failed")  # what came back late is not trusted
    assert len(client.losses) == 1


async def test_memory_that_runs_out_is_told_and_passes(client_factory: ClientFactory, settings: Settings) -> None:
    segmenter = FailingSegmenter()
    client = await client_factory(settings, engine_with(segmenter))
    await register(client)
    segmenter.error = MemoryError()

    refused = await segment(client)
    segmenter.error = None

    assert_problem(refused, 503, "unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await segment(client)).status_code == 200
    assert not client.losses


async def test_a_clock_that_jumps_changes_no_deadline_and_no_retry(
    client_factory: ClientFactory, make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = GatedSegmenter()
    client = await client_factory(make_settings(max_queue_images=1, max_batch_images=1), engine_with(segmenter))
    await register(client)
    real, jumps = time.time, cycle([-400 * DAY_S, 0.0, 400 * DAY_S])
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))

    assert [(await segment(client)).status_code for _ in range(6)] == [200] * 6
    segmenter.gate.clear()
    running = asyncio.create_task(segment(client))
    await happens(segmenter.entered)
    waiting = asyncio.create_task(segment(client))
    await reaches(lambda: client.runtime.require_ready().queue.depth == 1)
    refused = await segment(client)

    assert_problem(refused, 503, "queue_full")
    assert 1 <= int(refused.headers["retry-after"]) < 60
    assert (await client.get("/readyz")).status_code == 200
    segmenter.gate.set()
    answers: list[httpx.Response] = [await running, await waiting]
    assert [answer.status_code for answer in answers] == [200, 200]


def test_the_wall_clock_is_read_for_records_and_logs_alone() -> None:
    package = Path(__file__).parents[2] / "service" / "lerenet"
    rooms = ("api", "inference", "runtime", "support", "observability")
    readers = {
        str(path.relative_to(package))
        for room in rooms
        for path in (package / room).rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in ("time.time()", "datetime.now(", "utcnow("))
    }
    # when a class was made, and a gauge that says when the last batch was
    assert readers <= {"support/records.py", "runtime/device_queue.py", "support/audit.py"}
