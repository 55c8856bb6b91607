from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from builders import plate_pairs, tiny_network
from inference.fakes import CPU, Brightness, encoding_of, largest_difference
from lerenet.imaging import Shot
from lerenet.inference.regions import MaskRule, read_map
from lerenet.inference.segmenter import Assessment, ClassEncoding, SegmentationJob, Segmenter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lerenet.imaging import Image
    from lerenet.network import LERENet


def spotted(size: tuple[int, int], *boxes: tuple[int, int, int, int], seed: int = 0) -> Shot:
    """A dark noisy image with bright, marked boxes (top, left, height, width)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(size, np.uint8)
    for top, left, height, width in boxes:
        mask[top : top + height, left : left + width] = 1
    image = np.where(mask, 220, 60) + rng.integers(-20, 20, size)
    return Shot(image.astype(np.uint8), mask)


def brightness(image: Image, level: float = 0.5) -> NDArray[np.uint8]:
    """What `Brightness` must answer at full scale."""
    logit = 20.0 * (image / 255 - level)
    return np.round(255 / (1 + np.exp(-logit))).astype(np.uint8)


def vivid_network() -> LERENet:
    """A tiny network whose random probabilities spread over the whole range."""
    network = tiny_network()
    with torch.no_grad():
        network.get_submodule("ifm.classify").get_parameter("weight").mul_(40.0)
    return network


def assessed(network: Brightness, shots: Sequence[Shot], normals: Sequence[Image] = ()) -> Assessment:
    """The assessment alone: the network forgets what encoding asked of it."""
    segmenter = Segmenter(network, CPU)
    encoding = segmenter.encode(shots, normals)
    for asked in (network.batches, network.pairs, network.shots, network.n_normals, network.masks):
        asked.clear()
    return segmenter.assess(shots, normals, encoding)


def job(image: Image, *levels: float, scale: float = 1.0) -> SegmentationJob:
    return SegmentationJob(image, tuple(ClassEncoding(scale, encoding_of(level)) for level in levels))


# -- images of any size


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (200, 200), (97, 130), (130, 300), (500, 333)])
def test_map_has_the_size_of_its_image(size: tuple[int, int]) -> None:
    image = spotted(size).image
    ((q,),) = Segmenter(Brightness(), CPU, tile_px=128, overlap_px=32).segment([job(image, 0.5)])
    assert q.shape == size
    assert q.dtype == np.uint8


@pytest.mark.parametrize("size", [(200, 200), (97, 130), (700, 333), (2000, 40)])
def test_tiled_map_of_a_pointwise_network_is_exact(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    ((q,),) = Segmenter(Brightness(), CPU, tile_px=128, overlap_px=32).segment([job(image, 0.5)])
    assert largest_difference([q], [brightness(image)]) <= 1


@pytest.mark.parametrize("scale", [1.0, 1 / 2, 1 / 4, 1 / 8])
def test_tiles_answer_as_the_whole_frame_does(scale: float) -> None:
    image = spotted((999, 1203), (300, 400, 200, 250), (800, 0, 100, 100)).image
    request = [job(image, 0.4, scale=scale)]
    ((whole,),) = Segmenter(Brightness(), CPU, tile_px=2048).segment(request)
    ((tiled,),) = Segmenter(Brightness(), CPU, tile_px=64, overlap_px=16).segment(request)
    assert largest_difference([whole], [tiled]) <= 1


def test_shrunken_frame_is_marked_in_its_place() -> None:
    shot = spotted((1003, 805), (400, 304, 160, 240))
    ((q,),) = Segmenter(Brightness(), CPU).segment([job(shot.image, 0.55, scale=1 / 8)])
    found = q >= 128
    overlap = (found & (shot.mask == 1)).sum() / (found | (shot.mask == 1)).sum()
    assert overlap > 0.95


def test_colour_image_is_segmented() -> None:
    image = np.full((40, 50, 3), (250, 10, 10), np.uint8)
    ((q,),) = Segmenter(Brightness(), CPU).segment([job(image, 0.5)])
    assert largest_difference([q], [brightness(np.full((40, 50), 90.0))]) == 0


# -- batches


def test_jobs_of_many_sizes_keep_their_order() -> None:
    images = [spotted((60 + 20 * n, 90), (10, 10, 20, 20), seed=n).image for n in range(5)]
    jobs = [job(images[0], 0.5), job(images[1], 0.3, 0.7), job(images[2]), job(images[3], 0.5), job(images[0], 0.4)]
    maps = Segmenter(Brightness(), CPU).segment(jobs)
    assert [len(own) for own in maps] == [1, 2, 0, 1, 1]
    for own, (image, levels) in zip(
        maps,
        [(images[0], [0.5]), (images[1], [0.3, 0.7]), (images[2], []), (images[3], [0.5]), (images[0], [0.4])],
        strict=True,
    ):
        for q, level in zip(own, levels, strict=True):
            assert largest_difference([q], [brightness(image, level)]) <= 1


def test_no_jobs_give_no_maps() -> None:
    assert Segmenter(Brightness(), CPU).segment([]) == []


def test_features_run_once_per_image_with_all_its_classes() -> None:
    network = Brightness()
    Segmenter(network, CPU).segment([job(spotted((64, 64)).image, 0.2, 0.4, 0.6)])
    assert network.batches == [(1, 3, 64, 64)]
    assert network.pairs == [3]


def test_features_run_once_per_working_scale() -> None:
    network = Brightness()
    image = spotted((256, 256)).image
    classes = tuple(ClassEncoding(scale, encoding_of(0.5)) for scale in (1.0, 0.5, 1.0, 0.5))
    Segmenter(network, CPU).segment([SegmentationJob(image, classes)])
    assert sorted(network.batches) == [(1, 3, 128, 128), (1, 3, 256, 256)]


def test_images_of_one_size_share_a_batch() -> None:
    network = Brightness()
    Segmenter(network, CPU).segment([job(spotted((200, 200), seed=n).image, 0.5) for n in range(4)])
    assert network.batches == [(4, 3, 208, 208)]


def test_tiles_of_several_frames_share_batches() -> None:
    network = Brightness()
    segmenter = Segmenter(network, CPU, tile_px=128, overlap_px=32)
    segmenter.segment([job(spotted((224, 128), seed=n).image, 0.5) for n in range(2)])
    assert network.batches == [(4, 3, 128, 128)]


def test_batches_stay_within_their_pixels() -> None:
    network = Brightness()
    segmenter = Segmenter(network, CPU, max_batch_pixels=3 * 64 * 64)
    segmenter.segment([job(spotted((64, 64), seed=n).image, *([0.5] * 7)) for n in range(5)])
    assert [batch[0] for batch in network.batches] == [3, 2]
    assert max(network.pairs) == 3


def test_image_larger_than_a_batch_runs_alone() -> None:
    network = Brightness()
    Segmenter(network, CPU, max_batch_pixels=10).segment([job(spotted((64, 64)).image, 0.5)] * 2)
    assert [batch[0] for batch in network.batches] == [1, 1]


def test_encodings_of_unequal_shape_are_not_stacked() -> None:
    class Ragged(Brightness):
        def segment(self, features, encoding, image_index=None):  # type: ignore[no-untyped-def]
            assert len(encoding.tensors["level"].shape) == 2
            mean = type(encoding)({"level": encoding.tensors["level"].mean(1, keepdim=True)})
            return super().segment(features, mean, image_index)

    image = spotted((64, 64)).image
    wide = type(encoding_of(0.0))({"level": torch.tensor([[0.2, 0.6]])})
    classes = (ClassEncoding(1.0, encoding_of(0.5)), ClassEncoding(1.0, wide), ClassEncoding(1.0, encoding_of(0.3)))
    (maps,) = Segmenter(Ragged(), CPU).segment([SegmentationJob(image, classes)])
    assert largest_difference(maps, [brightness(image, level) for level in (0.5, 0.4, 0.3)]) <= 1


def test_result_does_not_depend_on_batch_company() -> None:
    segmenter = Segmenter(vivid_network(), CPU, tile_px=128, overlap_px=32)
    shots = plate_pairs(4)
    classes = tuple(segmenter.encode(shots[n : n + 2]) for n in range(2))
    images = [shot.image for shot in shots] + [shots[0].image[:100, :150]]
    together = segmenter.segment([SegmentationJob(image, classes) for image in images])
    alone = [[segmenter.segment([SegmentationJob(image, (each,))])[0][0] for each in classes] for image in images]
    assert np.ptp(together[0][0]) > 50
    for own, own_alone in zip(together, alone, strict=True):
        assert largest_difference(own, own_alone) <= 1
        assert np.mean([np.mean(a != b) for a, b in zip(own, own_alone, strict=True)]) < 1e-3


def test_same_request_gives_the_same_bytes() -> None:
    segmenter = Segmenter(vivid_network(), CPU)
    shots = plate_pairs(2)
    request = [SegmentationJob(shots[1].image, (segmenter.encode(shots[:1]),))]
    np.testing.assert_array_equal(segmenter.segment(request)[0][0], segmenter.segment(request)[0][0])


# -- classes


def test_class_is_found_again_on_its_own_shot() -> None:
    shot = spotted((200, 200), (50, 60, 40, 30))
    segmenter = Segmenter(Brightness(), CPU)
    ((q,),) = segmenter.segment([SegmentationJob(shot.image, (segmenter.encode([shot]),))])
    np.testing.assert_array_equal(q >= 128, shot.mask == 1)


def test_encoding_uses_every_shot() -> None:
    network = Brightness()
    Segmenter(network, CPU).encode([spotted((64, 64 + 16 * n), (5, 5, 20, 20)) for n in range(3)])
    assert network.shots == [[0, 1, 2]]


def test_encoding_takes_the_scale_of_its_defects() -> None:
    large = spotted((1600, 1600), (400, 400, 420, 420))
    network = Brightness()
    encoding = Segmenter(network, CPU).encode([large])
    assert encoding.scale == 1 / 8
    assert network.batches == [(1, 3, 208, 208)]


def test_ladder_can_be_held_at_full_size() -> None:
    large = spotted((1600, 1600), (400, 400, 420, 420))
    assert Segmenter(Brightness(), CPU, ladder=(1.0,)).encode([large]).scale == 1.0


def test_tiny_defect_on_a_large_image_is_encoded_from_a_crop() -> None:
    network = Brightness()
    encoding = Segmenter(network, CPU).encode([spotted((2000, 3000), (1700, 2500, 8, 8))])
    assert encoding.scale == 1.0
    assert network.batches == [(1, 3, 512, 512)]
    assert int((network.masks[0] == 1).sum()) == 64


def test_normals_reach_the_network_beside_the_shots() -> None:
    network = Brightness()
    normals = [spotted((100, 100)).image, spotted((80, 120)).image]
    Segmenter(network, CPU).encode([spotted((64, 64), (5, 5, 20, 20))], normals)
    assert network.n_normals == [2]
    assert network.batches[1][1:] == (3, 80, 96)


@pytest.mark.parametrize("n_shots", [1, 3])
def test_encoding_survives_its_dump(n_shots: int) -> None:
    segmenter = Segmenter(vivid_network(), CPU)
    shots = plate_pairs(4)
    encoding = segmenter.encode(shots[:n_shots], [shots[3].image])
    copy = segmenter.load(segmenter.dump(encoding))
    maps = segmenter.segment([SegmentationJob(shots[3].image, (encoding, copy))])[0]
    np.testing.assert_array_equal(maps[0], maps[1])


def test_encoding_does_not_depend_on_the_order_of_shots() -> None:
    segmenter = Segmenter(vivid_network(), CPU)
    shots = plate_pairs(4)
    classes = (segmenter.encode(shots[:3]), segmenter.encode(shots[2::-1]))
    maps = segmenter.segment([SegmentationJob(shots[3].image, classes)])[0]
    assert largest_difference(maps[:1], maps[1:]) <= 1


def test_encodings_hold_float32_in_every_precision() -> None:
    encoding = Segmenter(tiny_network(), CPU, precision="bf16").encode(plate_pairs(2))
    assert {tensor.dtype for tensor in encoding.encoding.tensors.values()} == {torch.float32}


def test_half_precision_stays_near_full_precision() -> None:
    network = tiny_network()
    shots = plate_pairs(2)
    maps = []
    for precision in ("float32", "bf16"):
        segmenter = Segmenter(network, CPU, precision=precision)
        maps += segmenter.segment([SegmentationJob(shots[1].image, (segmenter.encode(shots[:1]),))])[0]
    assert largest_difference(maps[:1], maps[1:]) <= 8


# -- assessment


def test_single_shot_has_no_overlap_to_tell() -> None:
    assessment = assessed(Brightness(), [spotted((64, 64), (5, 5, 20, 20))])
    assert (assessment.threshold, assessment.loo_iou) == (0.5, None)


def test_single_shot_is_tried_on_itself_turned_by_quarters() -> None:
    network = Brightness()
    assessed(network, [spotted((64, 96), (5, 5, 20, 20))])
    assert network.shots == [[0]]
    assert network.batches == [(1, 3, 64, 96), (3, 3, 96, 96)]


def test_each_shot_is_judged_by_the_others_alone() -> None:
    network = Brightness()
    assessed(network, [spotted((64, 64), (5, 5, 20, 20), seed=n) for n in range(3)])
    assert network.shots == [[0, 1, 2], [1, 2], [0, 2], [0, 1]]


def test_assessment_computes_features_once_per_shot() -> None:
    network = Brightness()
    assessed(network, [spotted((64, 64), (5, 5, 20, 20), seed=n) for n in range(5)])
    assert sum(batch[0] for batch in network.batches) == 5


def test_assessment_of_a_clear_class_is_perfect() -> None:
    shots = [spotted((64, 80 + 16 * n), (5 + n, 5, 20, 20), seed=n) for n in range(3)]
    assessment = assessed(Brightness(), shots)
    assert (assessment.threshold, assessment.loo_iou) == (0.5, 1.0)


def test_assessment_of_large_shots_judges_their_crops() -> None:
    network = Brightness()
    shots = [spotted((1500, 1500), (100, 100, 20, 20), (1400, 1400, 20, 20), seed=n) for n in range(2)]
    assert assessed(network, shots).loo_iou == 1.0
    assert sum(batch[0] for batch in network.batches) == 4
    assert network.shots == [[0, 1, 2, 3], [2, 3], [0, 1]]


def test_assessment_parts_a_class_from_bright_background() -> None:
    """Background nearly as bright as the defect lies above one half: a higher threshold or a least score parts them."""

    def washed_out(seed: int) -> Shot:
        mask = np.zeros((96, 96), np.uint8)
        mask[10:30, 10:30] = 1
        image = np.where(mask, 200, 20)
        image[60:90, 60:90] = 130
        return Shot((image + np.random.default_rng(seed).integers(0, 9, image.shape)).astype(np.uint8), mask)

    segmenter, shots = Segmenter(Brightness(), CPU), [washed_out(0), washed_out(1)]
    encoding = segmenter.encode(shots)
    assessment = segmenter.assess(shots, (), encoding)
    ((q,),) = segmenter.segment([SegmentationJob(shots[0].image, (encoding,))])
    rule = MaskRule(assessment.threshold, min_score=assessment.min_score, confidence=assessment.confidence)
    assert q[75, 75] > 128
    assert assessment.loo_iou == 1.0
    np.testing.assert_array_equal(read_map(q, rule).mask, shots[0].mask)


def test_each_normal_is_judged_without_itself() -> None:
    network = Brightness()
    shots = [spotted((64, 64), (5, 5, 20, 20), seed=n) for n in range(2)]
    assessed(network, shots, [spotted((64, 64)).image] * 3)
    assert network.n_normals == [3, 3, 3, 2, 2, 2]
    assert network.shots == [[0, 1], [1], [0], [0, 1], [0, 1], [0, 1]]


def test_only_normal_is_judged_by_the_shots_alone() -> None:
    network = Brightness()
    assessed(network, [spotted((64, 64), (5, 5, 20, 20))], [spotted((64, 64)).image])
    assert network.n_normals == [1, 0]


def test_normal_with_a_spot_makes_the_class_doubt_its_regions() -> None:
    shots = [spotted((64, 64), (5, 5, 20, 20), seed=n) for n in range(2)]
    normal = spotted((64, 64), (40, 40, 10, 10), seed=7).image
    assert assessed(Brightness(), shots, [normal]).confidence.bias < assessed(Brightness(), shots).confidence.bias


def test_assessment_starts_from_the_confidence_of_the_network() -> None:
    network = Brightness()
    network.confidence = (-1.0, 0.5, 0.25)
    found = assessed(network, [spotted((64, 64), (5, 5, 20, 20))]).confidence
    assert found[1:] == (0.5, 0.25)


# -- the rest


def test_long_call_gives_signs_of_life() -> None:
    beats: list[int] = []
    segmenter = Segmenter(Brightness(), CPU, max_batch_pixels=1, on_progress=lambda: beats.append(1))
    segmenter.segment([job(spotted((64, 64)).image, 0.5)] * 3)
    assert len(beats) == 6


def test_weight_of_a_job_counts_pixels_at_each_scale_with_their_classes() -> None:
    image = np.zeros((100, 200), np.uint8)
    classes = tuple(ClassEncoding(scale, encoding_of(0.5)) for scale in (1.0, 1.0, 0.5))
    assert Segmenter(Brightness(), CPU).weigh(SegmentationJob(image, classes)) == 20_000 * 1.4 + 5_000 * 1.2


def test_network_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="eval"):
        Segmenter(tiny_network().train(), CPU)


def test_network_stays_as_it_was() -> None:
    network = tiny_network()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    segmenter = Segmenter(network, CPU)
    shots = plate_pairs(3)
    encoding = segmenter.encode(shots)
    segmenter.assess(shots, (), encoding)
    segmenter.segment([SegmentationJob(shots[0].image, (encoding,))])
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_answers_as_the_cpu_does() -> None:
    network, shots = tiny_network(), plate_pairs(3)
    answers = []
    for device in (CPU, torch.device("cuda")):
        segmenter = Segmenter(network.to(device), device, precision="float32")
        answers += segmenter.segment([SegmentationJob(shots[2].image, (segmenter.encode(shots[:2]),))])[0]
    assert largest_difference(answers[:1], answers[1:]) <= 4


def test_jobs_prepared_ahead_are_answered_as_others() -> None:
    segmenter = Segmenter(Brightness(), CPU, tile_px=128, overlap_px=32, max_batch_pixels=2 * 128 * 128)
    images = [spotted((200, 333), seed=1).image, spotted((60, 70), seed=2).image]
    prepared = segmenter.prepare([job(image, 0.5, 0.3) for image in images])
    originals = [image.copy() for image in images]
    for image in images:
        image[:] = 0  # the pixels have been taken

    answered = segmenter.run(prepared)

    expected = segmenter.segment([job(image, 0.5, 0.3) for image in originals])
    assert largest_difference([q for own in answered for q in own], [q for own in expected for q in own]) == 0
