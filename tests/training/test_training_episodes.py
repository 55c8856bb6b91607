import numpy as np
import pytest
import torch

from lerenet.network.lerenet import IGNORE_INDEX
from lerenet.training.episodes import SyntheticEpisodes, draw_supports, iterate_batches, pad_to_stride


def _source() -> SyntheticEpisodes:
    return SyntheticEpisodes(seed=3, size_px=32, n_images=3, n_episodes=2, device=torch.device("cpu"))


def test_every_image_is_a_query_once() -> None:
    draw = draw_supports(torch.ones(3, 4), 2, np.random.default_rng(0))
    assert draw.query.tolist() == list(range(12))
    assert draw.support.shape == (12, 2)


def test_shots_are_other_images_of_the_episode_that_show_the_defect() -> None:
    has_defect = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1]], dtype=torch.uint8)
    for seed in range(20):
        draw = draw_supports(has_defect, 3, np.random.default_rng(seed))
        assert (draw.support // 4 == (draw.query // 4)[:, None]).all()
        assert (draw.support != draw.query[:, None]).all()
        assert has_defect.flatten()[draw.support].all()


def test_shots_differ_where_there_are_enough() -> None:
    draw = draw_supports(torch.ones(2, 4), 3, np.random.default_rng(0))
    assert all(len(set(shots)) == 3 for shots in draw.support.tolist())


def test_shots_repeat_where_there_are_too_few() -> None:
    draw = draw_supports(torch.tensor([[1, 1, 0]]), 2, np.random.default_rng(0))
    assert draw.support[:2].tolist() == [[1, 1], [0, 0]]
    assert sorted(draw.support[2].tolist()) == [0, 1]


def test_an_image_is_no_query_when_no_other_shows_the_defect() -> None:
    draw = draw_supports(torch.tensor([[1, 0, 0]]), 1, np.random.default_rng(0))
    assert draw.query.tolist() == [1, 2]
    assert draw.support.tolist() == [[0], [0]]


def test_the_draw_depends_on_its_random_numbers_alone() -> None:
    draws = [draw_supports(torch.ones(8, 4), 2, np.random.default_rng(seed)).support.tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_padding_repeats_the_image_but_is_ignored_in_the_mask() -> None:
    images, masks = torch.rand(2, 3, 5, 6), torch.ones(2, 5, 6, dtype=torch.uint8)
    padded, padded_masks = pad_to_stride(images, masks, 4)
    assert padded.shape == (2, 3, 8, 8)
    torch.testing.assert_close(padded[..., 7, 7], images[..., 4, 5])
    assert (padded_masks[:, 5:] == IGNORE_INDEX).all()
    assert (padded_masks[:, :5, :6] == 1).all()


def test_batches_start_at_the_step_a_run_resumes_from() -> None:
    source = _source()
    batches = list(iterate_batches(source, 2, 4, 0))
    assert len(batches) == 2
    assert torch.equal(batches[0][0], source[2][0])


# on a machine of one core torch warns of two workers
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_batches_are_the_same_when_workers_make_them() -> None:
    alone, shared = (list(iterate_batches(_source(), 1, 4, workers)) for workers in (0, 2))
    for (images, masks, _), (other_images, other_masks, _) in zip(alone, shared, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(masks, other_masks)
