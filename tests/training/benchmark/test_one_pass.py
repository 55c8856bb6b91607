from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from builders import tiny_network
from lerenet.datasets.folder import DefectClass, open_folder
from lerenet.network import LERENet
from lerenet.training.benchmark import one_pass
from lerenet.training.benchmark.episodes import EpisodeForm, draw_support
from lerenet.training.benchmark.one_pass import OnePass

_CPU = torch.device("cpu")
FORM = EpisodeForm(size_px=64, rule="gt127")


@pytest.fixture
def classes(plates: Path) -> tuple[DefectClass, ...]:
    """`cracks` of 8 pairs in 5 groups and `bars` of 7, all of 64 px."""
    return open_folder(plates)


def _answer_with(monkeypatch: pytest.MonkeyPatch, share_wrong: float) -> list[tuple[Tensor, Tensor]]:
    """Has every query answered by brightness, with its first rows marked as well; gives the episodes asked."""
    asked: list[tuple[Tensor, Tensor]] = []

    def segment(network: LERENet, images: Tensor, masks: Tensor, device: torch.device) -> Tensor:
        asked.append((images, masks))
        found = (images[:, 0, 0] > 150).float()
        found[:, : round(share_wrong * found.shape[1])] = 1
        return torch.stack([1 - found, found], dim=1)

    monkeypatch.setattr(one_pass, "segment_episodes", segment)
    return asked


def test_perfect_answers_give_ones(classes: tuple[DefectClass, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    _answer_with(monkeypatch, 0.0)
    report = OnePass(classes, FORM, (1,)).validate(tiny_network(), _CPU)
    assert (report.miou, report.fb_iou, report.miou_sd) == (1.0, 1.0, None)
    assert (report.n_queries, report.n_unmarked) == (15, 0)


def test_class_iou_pools_pixels_before_the_ratio(
    classes: tuple[DefectClass, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    _answer_with(monkeypatch, 0.25)
    report = OnePass(classes[1:], FORM, (1,)).validate(tiny_network(), _CPU)
    # 7 bars of 6 x 20 px; some of them lie in the 16 rows that are marked too.
    assert list(report.class_iou) == ["steel/bars"]
    assert 7 * 120 / (7 * 16 * 64 + 7 * 120) <= report.miou <= 120 / (16 * 64)
    assert report.fb_iou > report.miou


def test_every_image_is_asked_once_in_each_pass(
    classes: tuple[DefectClass, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _answer_with(monkeypatch, 0.0)
    told: list[int] = []
    report = OnePass(classes, FORM, (1, 2)).validate(tiny_network(), _CPU, told.append)
    assert sum(len(images) for images, _ in asked) == sum(told) == 30
    assert report.miou_sd == 0.0


def test_support_is_drawn_alike_every_time(classes: tuple[DefectClass, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _answer_with(monkeypatch, 0.0)
    measure = OnePass(classes, replace(FORM, n_shots=2), (1,))
    for _ in range(2):
        measure.validate(tiny_network(), _CPU)
    half = len(asked) // 2
    for (images, _), (again, _) in zip(asked[:half], asked[half:], strict=True):
        assert torch.equal(images, again)
        assert images.shape[1] == 3


def test_support_never_shares_a_group_with_its_query(
    classes: tuple[DefectClass, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, list[str]]] = []
    draw = draw_support

    def watch(groups: tuple[str, ...], query: int, n_shots: int, random: object) -> list[int]:
        shots = draw(groups, query, n_shots, random)  # type: ignore[arg-type]
        drawn.append((groups[query], [groups[shot] for shot in shots]))
        return shots

    monkeypatch.setattr(one_pass, "draw_support", watch)
    _answer_with(monkeypatch, 0.0)
    OnePass(classes[:1], FORM, (1, 2, 3)).validate(tiny_network(), _CPU)
    assert len(drawn) == 24
    assert all(query not in shots for query, shots in drawn)


def test_network_gives_figures_between_0_and_1(classes: tuple[DefectClass, ...]) -> None:
    report = OnePass(classes[1:], replace(FORM, size_px=40), (1,)).validate(tiny_network(), _CPU)
    assert 0 <= report.miou <= 1
    assert "mIoU" in report.describe()
    assert report.iou == report.miou
