from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.plates import form, image_part, parts, plate_png
from builders import plate_pairs, tiny_network
from fakes import LevelSegmenter, engine_with
from lerenet.imaging import encode_bilevel_png, encode_image_png
from lerenet.network import save_weights
from lerenet.settings import Settings
from serving import running_client


@pytest.fixture(scope="module")
def support_and_frame() -> tuple[list[tuple[str, bytes]], bytes]:
    """Parts of a support set of two plates, and a third plate of the class."""
    *support, query = plate_pairs(3, seed=5, size_px=96)
    images = [("images", encode_image_png(shot.image)) for shot in support]
    masks = [("masks", encode_bilevel_png(shot.mask)) for shot in support]
    return [*images, *masks], encode_image_png(query.image)


async def test_masks_are_identical_with_equal_scores_after_a_restart(
    settings: Settings, support_and_frame: tuple[list[tuple[str, bytes]], bytes]
) -> None:
    support, frame = support_and_frame
    answers: list[dict[str, Any]] = []
    async with running_client(settings) as client:
        registered = await client.post("/support", data={"name": "a", "threshold": "0.45"}, files=support)
        answers.append((await client.post("/segment", **form(image_part(frame), format="probability"))).json())
    async with running_client(settings) as client:
        shown = await client.get("/support/a")
        answers.append((await client.post("/segment", **form(image_part(frame), format="probability"))).json())

    assert shown.json() == registered.json()
    [before], [after] = ([*answer["results"][0]["classes"]] for answer in answers)
    assert before["mask"] == after["mask"]
    assert before["score"] == pytest.approx(after["score"], abs=1e-4)
    assert before["revision"] == after["revision"]


async def test_new_weights_rebuild_the_prototypes_of_every_class(
    make_settings: Callable[..., Settings],
    support_and_frame: tuple[list[tuple[str, bytes]], bytes],
    tmp_path: Path,
) -> None:
    support, frame = support_and_frame
    other_weights = tmp_path / "other.safetensors"
    save_weights(tiny_network(seed=1), other_weights)
    async with running_client(make_settings()) as client:
        await client.post("/support", data={"name": "a"}, files=support)
        old = (await client.post("/segment", **form(image_part(frame), format="probability"))).json()
    async with running_client(make_settings(weights=other_weights)) as client:
        new = (await client.post("/segment", **form(image_part(frame), format="probability"))).json()

    assert old["weights"] != new["weights"]
    [was], [now] = ([*answer["results"][0]["classes"]] for answer in (old, new))
    assert was["revision"] == now["revision"]
    assert was["mask"] != now["mask"]


async def test_prototypes_are_not_made_again_after_a_restart(settings: Settings) -> None:
    async with running_client(settings, build=engine_with(LevelSegmenter())) as client:
        await client.post("/support", **form(*parts(), name="a"))
    segmenter = LevelSegmenter()
    async with running_client(settings, build=engine_with(segmenter)) as client:
        response = await client.post("/segment", **form(image_part(plate_png())))

    assert response.status_code == 200
    assert segmenter.n_encoded == 1  # the trial of the device, and nothing else
