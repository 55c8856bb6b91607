from __future__ import annotations

import numpy as np
import torch

from lerenet.imaging import Shot
from lerenet.inference.support_view import SupportView, view_support
from lerenet.inference.upload import Upload

CPU = torch.device("cpu")


def shot(size: tuple[int, int], box: tuple[int, int, int, int]) -> Shot:
    """A dark image with one bright, marked box (top, left, height, width)."""
    mask = np.zeros(size, np.uint8)
    mask[box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = 1
    return Shot(np.where(mask, np.uint8(250), np.uint8(20)), mask)


def view(*shots: Shot, ratio: int = 1, side_px: int = 512) -> SupportView:
    return view_support(shots, (), ratio=ratio, side_px=side_px, multiple=16, device=CPU)


def test_shots_of_many_sizes_become_one_size() -> None:
    seen = view(shot((200, 180), (10, 10, 30, 30)), shot((90, 260), (5, 5, 20, 20)))
    assert {crop.size for crop in seen.crops} == {(208, 272)}
    assert seen.masks.shape == (2, 208, 272)


def test_padding_of_a_shot_is_ignored() -> None:
    seen = view(shot((200, 180), (10, 10, 30, 30)), shot((90, 260), (5, 5, 20, 20)))
    assert (seen.masks[1, 90:] == 255).all()
    assert (seen.masks[0, :200, :180] < 2).all()
    assert (seen.masks == 1).sum() == 30 * 30 + 20 * 20


def test_mask_lies_on_what_it_marks() -> None:
    seen = view(shot((1600, 1600), (1200, 300, 160, 160)), ratio=4, side_px=64)
    (crop,) = seen.crops
    image = Upload.packed([crop], CPU).images(CPU)[0, 0]
    assert image[seen.masks[0] == 1].min() > 0.5
    assert image[seen.masks[0] == 0].max() < 0.6


def test_tiny_defect_on_a_large_image_is_seen_at_its_own_size() -> None:
    seen = view(shot((3000, 3000), (2000, 1000, 7, 9)))
    (crop,) = seen.crops
    assert crop.size == (512, 512)
    assert int((Upload.packed([crop], CPU).images(CPU)[0, 0] > 0.9).sum()) == int((seen.masks == 1).sum()) == 63


def test_crops_know_their_shot() -> None:
    far_apart = shot((2000, 2000), (100, 100, 20, 20))
    far_apart.mask[1800:1820, 1800:1820] = 1
    seen = view(shot((200, 200), (10, 10, 30, 30)), far_apart)
    assert seen.owners == (0, 1, 1)
    assert seen.split(1) == ([1, 2], [0])


def test_normals_are_seen_without_padding() -> None:
    normals = [np.zeros((200, 190), np.uint8), np.zeros((700, 150, 3), np.uint8)]
    seen = view_support([shot((64, 64), (5, 5, 9, 9))], normals, ratio=1, side_px=512, multiple=16, device=CPU)
    assert {crop.size for crop in seen.normals} == {(192, 144)}
    assert all(crop.tile.bottom <= crop.image.shape[0] for crop in seen.normals)
