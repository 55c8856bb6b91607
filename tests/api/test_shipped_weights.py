"""The whole way, over HTTP, on the weights that are shipped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from api.plates import form, image_part
from builders import plate_pairs
from lerenet.imaging import OverlapCounts, Shot, decode_coco_rle, encode_bilevel_png, encode_image_png, overlap
from lerenet.settings import Settings
from serving import AppClient, running_client

N_SHOTS, N_QUERIES = 3, 3
SEEDS = (6, 7, 8)
LEAST_MEAN_IOU = 0.5


async def test_shipped_weights_find_classes_they_have_never_seen(make_settings: Callable[..., Settings]) -> None:
    async with running_client(make_settings(weights=None)) as client:
        ious = [await measured(client, f"class-{seed}", plate_pairs(N_SHOTS + N_QUERIES, seed)) for seed in SEEDS]

    assert sum(ious) / len(ious) >= LEAST_MEAN_IOU, ious


async def measured(client: AppClient, name: str, plates: Sequence[Shot]) -> float:
    """Pooled IoU of a class registered from the first plates, on the others."""
    shots, queries = plates[:N_SHOTS], plates[N_SHOTS:]
    images = [("images", ("plate.png", encode_image_png(shot.image))) for shot in shots]
    masks = [("masks", ("mask.png", encode_bilevel_png(shot.mask))) for shot in shots]
    await client.post("/support", **form(*images, *masks, name=name))
    frames = [image_part(encode_image_png(shot.image)) for shot in queries]
    answer = await client.post("/segment", **form(*frames, classes=name))
    counts = OverlapCounts()
    for shot, result in zip(queries, answer.json()["results"], strict=True):
        counts += overlap(decode_coco_rle(result["classes"][0]["mask"]), shot.mask)
    return counts.iou
