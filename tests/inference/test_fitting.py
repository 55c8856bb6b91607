"""Fitting an encoding to its shots: what moves, what stays, and that the masks get better by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from builders import plate_pairs, tiny_network
from inference.fakes import CPU
from lerenet.imaging import Shot
from lerenet.inference.fitting import N_STEPS, add_correction, correction
from lerenet.inference.segmenter import ClassEncoding, SegmentationJob, Segmenter
from lerenet.inference.trials import varied
from lerenet.network import LERENet, SupportEncoding
from lerenet.network.metal.names import BACKGROUND, FOREGROUND, background_bank, foreground_bank


@pytest.fixture
def _all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lerenet.inference.fitting.N_STEPS", N_STEPS)


def unfitted(network: LERENet) -> Segmenter:
    """Registers classes as the network sees them at first."""
    network.fitted = ()
    return Segmenter(network, CPU)


def vivid_network() -> LERENet:
    """A tiny network whose random answers depend much on the class."""
    network = tiny_network()
    with torch.no_grad():
        network.get_submodule("ifm.classify").get_parameter("weight").mul_(40.0)
    return network


def bright_squares(n: int, seed: int = 0) -> list[Shot]:
    """Noisy dark plates, each with one bright, marked square somewhere."""
    random = np.random.default_rng(seed)
    shots = []
    for _ in range(n):
        mask = np.zeros((96, 96), np.uint8)
        top, left = random.integers(8, 64, 2)
        mask[top : top + 24, left : left + 24] = 1
        image = np.where(mask, 200, 60) + random.integers(-20, 20, mask.shape)
        shots.append(Shot(image.astype(np.uint8), mask))
    return shots


def cross_entropy(segmenter: Segmenter, encoding: ClassEncoding, queries: Sequence[Shot]) -> float:
    """Mean over the pixels of the queries."""
    losses = []
    for query in queries:
        ((q,),) = segmenter.segment([SegmentationJob(query.image, (encoding,))])
        p = (q / 255).clip(0.002, 0.998)
        losses.append(-np.where(query.mask, np.log(p), np.log(1 - p)).mean())
    return float(np.mean(losses))


@pytest.mark.usefixtures("_all_steps")
@pytest.mark.parametrize("n_shots", [1, 3])
def test_fitted_class_answers_better_on_plates_it_has_not_seen(n_shots: int) -> None:
    *shots, first, second = bright_squares(n_shots + 2)
    plain, fitted = unfitted(vivid_network()), Segmenter(vivid_network(), CPU)
    before = cross_entropy(plain, plain.encode(shots), [first, second])
    after = cross_entropy(fitted, fitted.encode(shots), [first, second])
    assert after < 0.95 * before


@pytest.mark.usefixtures("_all_steps")
def test_normals_teach_the_class_to_stay_silent() -> None:
    shots, segmenter = bright_squares(2), Segmenter(tiny_network(), CPU)
    glaring = [np.roll(np.where(shot.mask, 170, shot.image).astype(np.uint8), 30, axis=1) for shot in bright_squares(3)]
    untold, told = segmenter.encode(shots), segmenter.encode(shots, glaring[:2])
    (maps,) = segmenter.segment([SegmentationJob(glaring[2], (untold, told))])
    assert maps[1].mean() < maps[0].mean()


def test_prototypes_move_and_banks_stay_what_was_seen() -> None:
    shots = plate_pairs(3)
    before = unfitted(tiny_network()).encode(shots).encoding.tensors
    after = Segmenter(tiny_network(), CPU).encode(shots).encoding.tensors
    assert {name: tensor.shape for name, tensor in before.items()} == {name: t.shape for name, t in after.items()}
    for level in range(3):
        for bank in (foreground_bank(level), background_bank(level)):
            assert before[bank].sub(after[bank]).abs().amax() < 1e-5
    assert not torch.equal(before[FOREGROUND], after[FOREGROUND])
    assert not torch.equal(before[BACKGROUND], after[BACKGROUND])


@pytest.mark.parametrize("n_shots", [1, 3])
def test_same_shots_give_the_same_encoding_in_any_order(n_shots: int) -> None:
    segmenter, shots = Segmenter(tiny_network(), CPU), plate_pairs(n_shots)
    first, second = segmenter.encode(shots).encoding, segmenter.encode(shots[::-1]).encoding
    assert all(torch.equal(tensor, second.tensors[name]) for name, tensor in first.tensors.items())


@pytest.mark.usefixtures("_all_steps")
def test_fitting_comes_in_short_pieces_of_work() -> None:
    segmenter, shots = Segmenter(tiny_network(), CPU), plate_pairs(2)
    *pauses, encoding = segmenter.encode_in_steps(shots)
    assert pauses == [None] * N_STEPS
    assert encoding is not None
    whole = segmenter.encode(shots).encoding
    assert all(torch.equal(tensor, whole.tensors[name]) for name, tensor in encoding.encoding.tensors.items())


def test_network_and_encoding_keep_no_gradient() -> None:
    network = tiny_network()
    encoding = Segmenter(network, CPU).encode(plate_pairs(2)).encoding
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(tensor.requires_grad for tensor in encoding.tensors.values())


@pytest.mark.usefixtures("_all_steps")
def test_assessment_judges_the_fitted_class() -> None:
    shots = bright_squares(3)
    fitted = Segmenter(vivid_network(), CPU)
    encoding = fitted.encode(shots)
    of_fitted = fitted.assess(shots, (), encoding).loo_iou
    plain = unfitted(vivid_network())
    of_plain = plain.assess(shots, (), plain.encode(shots)).loo_iou
    assert of_fitted is not None
    assert of_plain is not None
    assert of_fitted > of_plain


def test_correction_of_one_encoding_goes_onto_another() -> None:
    plain, moved, other = (SupportEncoding({"a": torch.full((1, 2), value)}) for value in (1.0, 1.5, 4.0))
    corrected = add_correction(other, correction(moved, plain))
    assert corrected.tensors["a"].tolist() == [[4.5, 4.5]]


def test_copies_of_a_single_shot_are_its_seven_other_positions() -> None:
    shot = Shot(
        np.arange(60, dtype=np.uint8).reshape(6, 10) * 4, (np.arange(60).reshape(6, 10) % 7 == 0).astype(np.uint8)
    )
    copies = varied(shot)
    assert len({(copy.mask.shape, copy.mask.tobytes()) for copy in copies}) == 7
    assert all(copy.mask.sum() == shot.mask.sum() for copy in copies)
