from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lerenet.datasets.folder import DefectClass, LabelledImage, open_folder
from lerenet.errors import ConfigurationError, DatasetError
from lerenet.evaluation.protocol import EvaluationConfig, plan_draws

CONFIG = EvaluationConfig(shots=(1, 3), n_seeds=5, n_draws=4)


@pytest.fixture
def cracks(plates: Path) -> DefectClass:
    (found,) = open_folder(plates, ["mt/cracks"])
    return found


def images(groups: str, prefix: str = "i", *, is_marked: bool = True) -> tuple[LabelledImage, ...]:
    """One image for each letter of `groups`, of that group."""
    names = [f"{prefix}{i:02}" for i in range(len(groups))]
    return tuple(
        LabelledImage(name, group, Path(name), Path(f"m-{name}") if is_marked else None)
        for name, group in zip(names, groups, strict=True)
    )


def test_every_seed_gets_its_draws(cracks: DefectClass) -> None:
    drawn = [(draw.seed, draw.index) for draw in plan_draws(cracks, CONFIG)]
    assert drawn == [(seed, index) for seed in range(5) for index in range(4)]


def test_groups_never_leak_from_support_to_queries(cracks: DefectClass) -> None:
    for draw in plan_draws(cracks, CONFIG):
        assert not {image.group for image in draw.support} & {image.group for image in draw.queries}


def test_support_images_are_of_distinct_groups(cracks: DefectClass) -> None:
    for draw in plan_draws(cracks, CONFIG):
        assert len({image.group for image in draw.support}) == 3


def test_queries_are_all_images_of_the_other_groups(cracks: DefectClass) -> None:
    for draw in plan_draws(cracks, CONFIG):
        taken = {image.group for image in draw.support}
        assert set(draw.queries) == {pair for pair in cracks.pairs if pair.group not in taken}


def test_supports_are_nested_with_fewer_shots(cracks: DefectClass) -> None:
    one = plan_draws(cracks, EvaluationConfig(shots=(1,)))
    three = plan_draws(cracks, EvaluationConfig(shots=(3,)))
    assert [draw.support for draw in one] == [draw.support[:1] for draw in three]


def test_plan_is_the_same_each_time(cracks: DefectClass) -> None:
    assert plan_draws(cracks, CONFIG) == plan_draws(cracks, CONFIG)


def test_draws_differ_between_seeds(cracks: DefectClass) -> None:
    assert len({draw.support for draw in plan_draws(cracks, CONFIG)}) > 10


def test_queries_are_capped(cracks: DefectClass) -> None:
    capped = EvaluationConfig(shots=(1,), max_queries=2)
    assert {len(draw.queries) for draw in plan_draws(cracks, capped)} == {2}


def test_every_group_supports_alike_however_many_images_it_has() -> None:
    lopsided = DefectClass("c", images("a" * 50 + "b" + "c"), (), True)
    draws = plan_draws(lopsided, EvaluationConfig(shots=(1,), n_seeds=100, n_draws=3))
    n_large = sum(draw.support[0].group == "a" for draw in draws)
    assert 70 <= n_large <= 130


def test_defect_free_images_of_a_support_group_are_not_asked() -> None:
    defect_class = DefectClass("c", images("ab"), images("abz", "n", is_marked=False), True)
    for draw in plan_draws(defect_class, EvaluationConfig(shots=(1,))):
        assert {image.group for image in draw.normals} == {"a", "b", "z"} - {draw.support[0].group}


def test_unmarked_images_never_support_yet_are_asked() -> None:
    defect_class = DefectClass("c", images("abcd"), (), True)
    draws = plan_draws(defect_class, EvaluationConfig(shots=(1,), n_seeds=20), unmarked={"i02"})
    assert all(draw.support[0].id != "i02" for draw in draws)
    assert all("i02" in {query.id for query in draw.queries} for draw in draws)


@pytest.mark.parametrize("groups", ["aabbccdd", "abcde", "aaaaaaaaaa"])
def test_too_few_groups_are_refused_with_the_remedy(groups: str) -> None:
    with pytest.raises(DatasetError, match=r"5-shot needs 6 groups .* ask for fewer shots"):
        plan_draws(DefectClass("c", images(groups), (), True), EvaluationConfig(shots=(1, 5)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"shots": ()},
        {"shots": (0, 1)},
        {"shots": (1, 1)},
        {"n_seeds": 0},
        {"n_draws": 0},
        {"max_queries": 0},
        {"threshold": 1.5},
        {"label_rule": "gt12"},
    ],
)
def test_config_refuses_what_cannot_be_measured(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        EvaluationConfig(**wrong)


@pytest.mark.data
@pytest.mark.skipif("LERENET_TEST_DATA" not in os.environ, reason="LERENET_TEST_DATA is not set")
@pytest.mark.parametrize("name", ["sd900/scratches", "mt/blowhole", "mt/crack", "bsdata/pitting_seq"])
def test_groups_of_real_images_never_leak(name: str) -> None:
    (found,) = open_folder(Path(os.environ["LERENET_TEST_DATA"]), [name])
    assert found.is_grouped
    for draw in plan_draws(found, EvaluationConfig()):
        assert len({image.group for image in draw.support}) == 5
        assert not {image.group for image in draw.support} & {image.group for image in draw.queries}


WITH_NORMALS = EvaluationConfig(shots=(1, 3), n_seeds=5, n_draws=4, n_normals=2)


def pitted() -> DefectClass:
    return DefectClass("pits", images("abcdefgh"), images("abwxyzz", "n", is_marked=False), True)


def test_registered_normals_are_of_views_that_are_nowhere_else() -> None:
    for draw in plan_draws(pitted(), WITH_NORMALS):
        views = [image.group for image in draw.registered]
        others = {image.group for image in (*draw.support, *draw.queries, *draw.normals)}
        assert len(set(views)) == 2
        assert not set(views) & others
        assert draw.normals


def test_registered_normals_leave_supports_as_they_are() -> None:
    with_normals, without = plan_draws(pitted(), WITH_NORMALS), plan_draws(pitted(), CONFIG)
    assert [draw.support for draw in with_normals] == [draw.support for draw in without]
    for draw, other in zip(with_normals, without, strict=True):
        assert [image for image in other.queries if image in draw.queries] == list(draw.queries)


def test_normals_of_one_group_each_count_as_a_view() -> None:
    pits = DefectClass("pits", images("abcdefgh"), images("nnnn", "n", is_marked=False), True)
    for draw in plan_draws(pits, WITH_NORMALS):
        assert (len(draw.registered), len(draw.normals)) == (2, 2)


def test_too_few_normals_to_register_are_refused() -> None:
    pits = DefectClass("pits", images("abcdefgh"), images("xy", "n", is_marked=False), True)
    with pytest.raises(DatasetError, match="need 3 defect-free views"):
        plan_draws(pits, WITH_NORMALS)


def test_class_without_normals_registers_none() -> None:
    pits = DefectClass("pits", images("abcdefgh"), (), True)
    assert all(draw.registered == () for draw in plan_draws(pits, WITH_NORMALS))


def test_negative_number_of_normals_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="n_normals is -1"):
        EvaluationConfig(n_normals=-1)
