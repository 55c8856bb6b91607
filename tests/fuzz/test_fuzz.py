"""A few seconds of what `make fuzz` does for an hour; the seeds are fixed."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as chosen

from conftest import ClientFactory
from fuzz import inputs, strategies, targets
from fuzz.served import Tally, fuzz_http, server
from lerenet.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore")  # of Pillow, about damage

few = chosen(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={inputs.BOUNDARY.decode()}"}


@few
@given(strategies.image_files)
def test_an_image_is_read_or_refused(data: bytes) -> None:
    targets.is_refused(targets.read_image, data)


@few
@given(strategies.mask_files)
def test_a_mask_is_read_or_refused(data: bytes) -> None:
    targets.is_refused(targets.read_mask, data)


@few
@given(strategies.rles)
def test_runs_are_read_or_refused(rle: object) -> None:
    targets.is_refused(targets.read_rle, rle)


@few
@given(strategies.brushes)
def test_a_brush_is_read_or_refused(rle: object) -> None:
    targets.is_refused(targets.read_brush, rle)


@few
@given(strategies.annotation_texts)
def test_annotations_are_read_or_refused(text: str) -> None:
    targets.is_refused(targets.read_annotations, text)


async def test_forms_are_answered_or_refused(client_factory: ClientFactory, settings: Settings) -> None:
    client = await client_factory(settings)
    for number in range(60):
        random = Random(f"forms/{number}")
        is_registration = random.random() < 0.5
        body = inputs.form(random, is_registration=is_registration)

        response = await client.post("/support" if is_registration else "/segment", content=body, headers=MULTIPART)

        assert response.status_code < 500, (number, response.text)


async def test_requests_to_a_server_are_answered_or_refused(tmp_path: Path, tiny_weights: Path) -> None:
    tally = Tally()
    with server(tmp_path, tiny_weights) as (address, process):
        await fuzz_http(int(address.rpartition(":")[2]), "suite", 0, 300, 3, tally)

        assert process.is_running()
    assert not tally.finds
    assert sum(tally.outcomes.values()) == 300
    assert {"200", "400", "404", "422"} <= tally.outcomes.keys()
