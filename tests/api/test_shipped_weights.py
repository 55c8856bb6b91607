"""The whole way once, over HTTP, on the weights that are shipped."""

from __future__ import annotations

from collections.abc import Callable

from api.plates import form, image_part
from builders import plate_pairs
from lerenet.imaging import OverlapCounts, decode_coco_rle, encode_bilevel_png, encode_image_png, overlap
from lerenet.settings import Settings
from serving import running_client

N_SHOTS, N_QUERIES = 5, 4
SEED = 6


async def test_shipped_weights_find_a_class_they_have_never_seen(make_settings: Callable[..., Settings]) -> None:
    plates = plate_pairs(N_SHOTS + N_QUERIES, seed=SEED)
    images = [("images", ("plate.png", encode_image_png(shot.image))) for shot in plates[:N_SHOTS]]
    masks = [("masks", ("mask.png", encode_bilevel_png(shot.mask))) for shot in plates[:N_SHOTS]]
    queries = plates[N_SHOTS:]
    async with running_client(make_settings(weights=None)) as client:
        await client.post("/support", **form(*images, *masks, name="seen-once"))
        answer = await client.post("/segment", **form(*(image_part(encode_image_png(shot.image)) for shot in queries)))

    counts = OverlapCounts(0, 0, 0, 0)
    for shot, result in zip(queries, answer.json()["results"], strict=True):
        counts += overlap(decode_coco_rle(result["classes"][0]["mask"]), shot.mask)
    assert counts.iou >= 0.6
