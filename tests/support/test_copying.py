"""A whole registry from one place to another: the same revisions in order, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lerenet.errors import ClassExists, ConfigurationError, RegistryError
from lerenet.support import (
    AssessmentRecord,
    RegistryChange,
    SupportStore,
    copy_registry,
    read_changes,
    verify_place,
)
from lerenet.support.backing import Place, opened
from support.classes import commit, files_under

ASSESSMENT = AssessmentRecord(0.5, 0.35, 0.75)
Way = tuple[Place, Place]


@pytest.fixture(params=["folder to database", "database to folder"])
def way(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> Way:
    """Source and target."""
    folder = tmp_path / "data"
    return (folder, database_url) if request.param == "folder to database" else (database_url, folder)


@pytest.fixture
def filled(way: Way) -> Way:
    """Class `a` at its third revision, class `b` that shares an image with it and has an owner."""
    with opened(way[0]) as backing:
        made = commit(backing.store, "a", 1)
        for seed in (2, 3):
            made = commit(backing.store, "a", 1, seed, expected=made.revision)
        commit(backing.store, "b", 3, text="ß")
        backing.owners.assign("b", "lere_00000001")
        backing.store.save_assessment(made.support_digest, "w1", ASSESSMENT)
        backing.trail.take([RegistryChange("create", "b", None, "0" * 16, who="lere_00000001").as_line()])
    return way


def copied(way: Way, **options: str) -> list[str]:
    return [f"{each.outcome} {each.name} {each.n_revisions}" for each in copy_registry(*way, **options)]  # type: ignore[arg-type]


def of_both(way: Way, ask: Callable[[SupportStore], object]) -> list[object]:
    answers = []
    for place in way:
        with opened(place) as backing:
            answers.append(ask(backing.store))
    return answers


def test_a_copy_has_everything(filled: Way) -> None:
    assert copied(filled) == ["added a 3", "added b 1"]
    for ask in (
        lambda store: [store.current(name) for name in "ab"],
        lambda store: store.revisions("a"),
        lambda store: [store.revision("a", each) for each in store.revisions("a")],
        lambda store: store.all_assessments(),
    ):
        here, there = of_both(filled, ask)
        assert here == there
    report = verify_place(filled[1])
    assert (report.is_clean, report.n_classes, report.n_revisions) == (True, 2, 4)
    with opened(filled[1]) as backing:
        assert dict(backing.owners.owners()) == {"b": "lere_00000001"}
    trail = [(line["what"], line["class"], line["who"]) for line in read_changes(filled[1])]
    assert trail == [
        ("create", "b", "lere_00000001"),
        ("import", "a", "lerenet registry copy"),
        ("import", "b", "lerenet registry copy"),
    ]


def test_copying_again_changes_nothing(filled: Way) -> None:
    copied(filled)
    [generation] = of_both(filled, lambda store: store.refresh())[1:]
    lines = list(read_changes(filled[1]))
    assert copied(filled) == ["unchanged a 0", "unchanged b 0"]
    assert of_both(filled, lambda store: store.refresh())[1] == generation
    assert list(read_changes(filled[1])) == lines


def test_a_copy_that_was_cut_off_goes_on(filled: Way) -> None:
    with opened(filled[1]) as there:
        commit(there.store, "a", 1)
    assert copied(filled) == ["completed a 2", "added b 1"]
    here_revisions, there_revisions = of_both(filled, lambda store: store.revisions("a"))
    assert here_revisions == there_revisions


def test_a_taken_name_is_refused_with_nothing_copied(filled: Way) -> None:
    with opened(filled[1]) as there:
        made = commit(there.store, "b", 7)
    with pytest.raises(ClassExists, match=made.revision):
        copied(filled)
    with opened(filled[1]) as there:
        assert (there.store.count(), there.store.current("b")) == (1, made)


def test_a_taken_name_is_replaced_on_demand(filled: Way) -> None:
    with opened(filled[1]) as there:
        made = commit(there.store, "b", 7)
    assert copied(filled, on_conflict="replace") == ["added a 3", "replaced b 1"]
    assert copied(filled) == ["unchanged a 0", "unchanged b 0"]
    assert made.revision in of_both(filled, lambda store: store.revisions("b"))[1]  # type: ignore[operator]


def test_a_damaged_image_is_not_copied(tmp_path: Path, database_url: str) -> None:
    with opened(tmp_path) as here:
        made = commit(here.store, "a", 1)
    sha256 = made.shots[0].image_sha256
    (tmp_path / "blobs" / sha256[:2] / sha256).write_bytes(b"rot")
    with pytest.raises(RegistryError, match="is damaged"):
        copied((tmp_path, database_url))
    with opened(database_url) as there:
        assert there.store.count() == 0


def test_a_place_without_a_registry_is_refused(tmp_path: Path, database_url: str) -> None:
    with pytest.raises(RegistryError, match="There is no registry"):
        copied((tmp_path / "nowhere", database_url))
    assert files_under(tmp_path) == set()


def test_an_address_of_something_else_makes_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "blobs").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match=r"not at postgresql\+psycopg://$"):
        list(copy_registry(tmp_path / "here", "postgresql+psycopg://me:secret@h/d"))
    assert {path.name for path in tmp_path.iterdir()} == {"here"}


def test_the_scheme_of_a_database_may_be_in_capitals(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "blobs").mkdir()
    scheme, _, rest = database_url.partition("://")
    assert list(copy_registry(tmp_path, f"{scheme.upper()}://{rest}")) == []
