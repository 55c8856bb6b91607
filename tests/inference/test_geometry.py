from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from lerenet.inference.geometry import Crop, enlarge, ratio_of, to_probability, working_size
from lerenet.inference.tiles import Tile, cut_frame
from lerenet.inference.upload import Upload

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

CPU = torch.device("cpu")


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def seen(crop: Crop) -> Tensor:
    """What the network sees of a crop, (3, h, w)."""
    return Upload.packed([crop], CPU).images(CPU)[0]


@pytest.mark.parametrize(("scale", "ratio"), [(1.0, 1), (0.5, 2), (1 / 3, 3), (0.125, 8)])
def test_ratio_is_the_inverse_of_the_scale(scale: float, ratio: int) -> None:
    assert ratio_of(scale) == ratio


@pytest.mark.parametrize("scale", [0.3, 2.0, 0.0, -1.0])
def test_scale_without_whole_ratio_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="1/2"):
        ratio_of(scale)


@pytest.mark.parametrize(
    ("size", "ratio", "padded"), [((200, 200), 1, (208, 208)), ((256, 512), 2, (128, 256)), ((201, 33), 2, (112, 32))]
)
def test_working_size_is_padded_to_the_stride(size: tuple[int, int], ratio: int, padded: tuple[int, int]) -> None:
    assert working_size(size, ratio, 16) == padded


def test_crop_inside_an_image_is_its_pixels() -> None:
    image = noise(40, 50, 3)
    crop = seen(Crop(image, Tile(8, 16, 24, 32), 1))
    expected = torch.from_numpy(image[8:32, 16:48]).permute(2, 0, 1) / 255
    torch.testing.assert_close(crop, expected)


def test_crop_of_a_grey_image_has_three_equal_channels() -> None:
    image = noise(16, 16)
    crop = seen(Crop(image, Tile(0, 0, 16, 16), 1))
    assert crop.shape == (3, 16, 16)
    torch.testing.assert_close(crop, torch.from_numpy(image).expand(3, -1, -1) / 255)


@pytest.mark.parametrize("shape", [(20, 18), (20, 18, 3)])
def test_crop_beyond_an_image_repeats_its_edge(shape: tuple[int, ...]) -> None:
    image = noise(*shape)
    crop = seen(Crop(image, Tile(0, 0, 32, 32), 1))
    torch.testing.assert_close(crop[:, 25, :18], crop[:, 19, :18])
    torch.testing.assert_close(crop[:, :20, 30], crop[:, :20, 17])
    torch.testing.assert_close(crop[:, 31, 31], crop[:, 19, 17])


@pytest.mark.parametrize("ratio", [2, 4, 8])
@pytest.mark.parametrize("size", [(640, 800), (633, 797)])
def test_tile_shows_what_the_whole_frame_shows(ratio: int, size: tuple[int, int]) -> None:
    image = noise(*size)
    height, width = working_size(size, ratio, 16)
    whole = seen(Crop(image, Tile(0, 0, height, width), ratio))
    for tile in cut_frame((height, width), tile_px=64, overlap_px=16, multiple=16).tiles:
        part = seen(Crop(image, tile, ratio))
        expected = whole[:, tile.top : tile.bottom, tile.left : tile.right]
        torch.testing.assert_close(part, expected, atol=1e-6, rtol=0)


def test_shrinking_keeps_the_mean_brightness() -> None:
    image = noise(256, 256)
    small = seen(Crop(image, Tile(0, 0, 64, 64), 4))
    assert float(small.mean()) == pytest.approx(image.mean() / 255, abs=2e-3)


def test_shrinking_leaves_things_in_their_place() -> None:
    image = np.zeros((64, 64), np.uint8)
    image[32:40, 16:24] = 255  # working pixels 8..9, 4..5 at a ratio of 4
    small = seen(Crop(image, Tile(0, 0, 16, 16), 4))[0]
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    assert float((rows * small).sum() / small.sum()) == pytest.approx(8.5, abs=1e-4)
    assert float((columns * small).sum() / small.sum()) == pytest.approx(4.5, abs=1e-4)


def test_enlarging_undoes_the_shift_of_shrinking() -> None:
    ramp = torch.arange(16.0).expand(1, 16, 16)
    large = enlarge(ramp, 4)[0, 32]
    expected = (torch.arange(64.0) + 0.5) / 4 - 0.5
    torch.testing.assert_close(large[4:-4], expected[4:-4])


def test_read_only_image_is_cut_without_complaint() -> None:
    image = noise(32, 32)
    image.setflags(write=False)
    assert seen(Crop(image, Tile(0, 0, 32, 32), 1)).shape == (3, 32, 32)


@pytest.mark.parametrize(("logit", "q"), [(0.0, 128), (-20.0, 0), (20.0, 255), (float(np.log(0.2 / 0.8)), 51)])
def test_probability_is_rounded_to_the_nearest_step(logit: float, q: int) -> None:
    assert to_probability(torch.tensor([logit])).tolist() == [q]


def test_probability_leaves_its_logits_alone() -> None:
    logits: Any = torch.tensor([0.5])
    to_probability(logits)
    assert logits.tolist() == [0.5]


def test_an_upload_holds_grey_and_colour_side_by_side() -> None:
    crops = [Crop(noise(40, 30, 3), Tile(0, 0, 32, 32), 1), Crop(noise(90, 70), Tile(16, 0, 32, 32), 2)]
    together = Upload.packed(crops, CPU)

    images = together.images(CPU)

    assert together.pixels.dtype == torch.uint8
    assert images.is_contiguous(memory_format=torch.channels_last)
    for image, crop in zip(images, crops, strict=True):
        torch.testing.assert_close(image, seen(crop))
