"""What every store must do; whoever writes another one runs these against it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from lerenet.errors import LimitExceeded, RegistryError
from lerenet.support import KEPT_REVISIONS, AssessmentRecord, Limits, Parameters, SupportStore
from support.classes import LIMITS, commit, record, shots
from support.stores import Place, is_whole, open_store


@pytest.fixture(params=["folder", "database"])
def place(request: pytest.FixtureRequest) -> Place:
    """Where a store lies."""
    found: Place = request.getfixturevalue("root" if request.param == "folder" else "database_url")
    return found


@pytest.fixture
def store(place: Place) -> Iterator[SupportStore]:
    opened = open_store(place)
    yield opened
    opened.close()


ASSESSMENT = AssessmentRecord(0.5, 0.35, None, min_score=0.6, confidence=(-1.25, 0.5, 0.125))


def test_store_knows_nothing_at_first(store: SupportStore) -> None:
    assert store.current("a") is None
    assert store.revision("a", "0" * 16) is None
    assert store.revisions("a") == []
    assert store.count() == 0
    assert store.pointers()[1] == {}


def test_store_returns_what_was_committed(store: SupportStore) -> None:
    made = commit(store, "a", 1, 2, text="b")
    assert store.current("a") == made
    assert store.revision("a", made.revision) == made


def test_store_returns_blobs_as_they_were_uploaded(store: SupportStore) -> None:
    made = commit(store, "a", 1)
    assert store.read_blob(made.shots[0].image_sha256) == shots(1)[0].data


def test_store_raises_over_a_blob_it_does_not_have(store: SupportStore) -> None:
    with pytest.raises(RegistryError, match="cannot be read"):
        store.read_blob(hashlib.sha256(b"").hexdigest())


def test_commit_moves_the_pointer(store: SupportStore) -> None:
    first = commit(store, "a", 1)
    second = commit(store, "a", 2, expected=first.revision)
    assert store.current("a") == second
    assert store.revision("a", first.revision) == first
    assert store.revisions("a") == [second.revision, first.revision]


@pytest.mark.parametrize("expected", [None, "0" * 16])
def test_commit_stores_nothing_when_the_pointer_is_elsewhere(store: SupportStore, expected: str | None) -> None:
    first = commit(store, "a", 1)
    generation = store.generation()
    other, added = record("a", 2)
    assert not store.commit(other, added.blobs, expected=expected, limits=LIMITS)
    assert store.current("a") == first
    assert store.revisions("a") == [first.revision]
    assert store.generation() == generation
    assert is_whole(store)


def test_commit_refuses_a_first_revision_of_a_deleted_class(store: SupportStore) -> None:
    made = commit(store, "a", 1)
    store.delete("a", expected=made.revision)
    other, added = record("a", 2)
    assert not store.commit(other, added.blobs, expected=made.revision, limits=LIMITS)


def test_commit_holds_the_number_of_classes(store: SupportStore) -> None:
    limits = Limits(max_classes=1)
    made, added = record("a", 1)
    assert store.commit(made, added.blobs, expected=None, limits=limits)
    other, other_added = record("b", 2)
    with pytest.raises(LimitExceeded, match="the limit is 1"):
        store.commit(other, other_added.blobs, expected=None, limits=limits)
    assert is_whole(store)
    newer, newer_added = record("a", 2)
    assert store.commit(newer, newer_added.blobs, expected=made.revision, limits=limits)


def test_commit_brings_back_a_revision_that_stayed(store: SupportStore) -> None:
    first = commit(store, "a", 1)
    second = commit(store, "a", 2, expected=first.revision)
    again = commit(store, "a", 1, expected=second.revision)
    assert again.revision == first.revision
    assert store.current("a") == again
    assert store.revisions("a") == [first.revision, second.revision]
    assert is_whole(store)


def test_generation_grows_with_every_change(store: SupportStore) -> None:
    seen = [store.generation()]
    first = commit(store, "a", 1)
    seen.append(store.generation())
    second = commit(store, "a", 2, expected=first.revision)
    seen.append(store.generation())
    store.delete("a", expected=second.revision)
    seen.append(store.generation())
    assert seen == sorted(set(seen))


def test_delete_leaves_a_class_at_another_revision(store: SupportStore) -> None:
    commit(store, "a", 1)
    assert not store.delete("a", expected="0" * 16)
    assert not store.delete("b", expected="0" * 16)
    assert store.count() == 1


def test_delete_forgets_every_revision(store: SupportStore) -> None:
    first = commit(store, "a", 1)
    second = commit(store, "a", 2, expected=first.revision)
    assert store.delete("a", expected=second.revision)
    assert store.current("a") is None
    assert store.revision("a", first.revision) is None
    for made in (first, second):
        with pytest.raises(RegistryError):
            store.read_blob(made.shots[0].image_sha256)


def test_delete_spares_blobs_that_another_class_uses(store: SupportStore) -> None:
    first, second = commit(store, "a", 1, 2), commit(store, "b", 2, 3)
    store.delete("a", expected=first.revision)
    assert is_whole(store)
    assert store.read_blob(second.shots[0].image_sha256)
    with pytest.raises(RegistryError):
        store.read_blob(first.shots[0].image_sha256)


def test_old_revisions_go_when_newer_ones_fill_the_history(store: SupportStore) -> None:
    made = [commit(store, "a", 0)]
    for seed in range(1, KEPT_REVISIONS + 3):
        made.append(commit(store, "a", seed, expected=made[-1].revision))
    kept = [revision.revision for revision in made[-KEPT_REVISIONS:]]
    assert store.revisions("a") == kept[::-1]
    assert store.revision("a", made[2].revision) is None
    with pytest.raises(RegistryError):
        store.read_blob(made[2].shots[0].image_sha256)
    assert store.read_blob(made[3].shots[0].image_sha256)
    assert is_whole(store)


def test_revision_brought_back_is_the_last_to_go(store: SupportStore) -> None:
    made = [commit(store, "a", 0)]
    for seed in [*range(1, KEPT_REVISIONS), 0, *range(100, 99 + KEPT_REVISIONS)]:
        made.append(commit(store, "a", seed, expected=made[-1].revision))
    assert store.revisions("a")[-1] == made[0].revision


def test_pages_cover_every_class_once(store: SupportStore) -> None:
    names = [f"class-{i:03}" for i in range(200)]
    for i, name in enumerate(reversed(names)):
        commit(store, name, 1, text=str(i))
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(5):
        page = store.page(cursor, 40)
        assert len(page.classes) == 40
        seen += [made.name for made in page.classes]
        cursor = page.next
    assert cursor is None
    assert seen == names


def test_page_goes_on_after_a_cursor_whose_class_is_gone(store: SupportStore) -> None:
    made = {name: commit(store, name, 1) for name in "abc"}
    cursor = store.page(None, 2).next
    store.delete("b", expected=made["b"].revision)
    assert cursor is not None
    assert [found.name for found in store.page(cursor, 2).classes] == ["c"]


def test_pointers_name_the_current_revisions(store: SupportStore) -> None:
    made = {name: commit(store, name, 1, text=name).revision for name in ("b", "a", "B")}
    generation, pointers = store.pointers()
    assert pointers == made
    assert list(pointers) == ["B", "a", "b"]
    assert generation == store.generation()


def test_assessment_is_kept_per_weights(store: SupportStore) -> None:
    made = commit(store, "a", 1)
    store.save_assessment(made.support_digest, "w1", ASSESSMENT)
    assert store.assessments([made.support_digest, "0" * 64], "w1") == {made.support_digest: ASSESSMENT}
    assert store.assessments([made.support_digest], "w2") == {}


def test_assessment_goes_with_the_last_class_of_that_content(store: SupportStore) -> None:
    made, same = commit(store, "a", 1), commit(store, "b", 1)
    store.save_assessment(made.support_digest, "w1", ASSESSMENT)
    store.delete("a", expected=made.revision)
    assert store.assessments([made.support_digest], "w1")
    store.delete("b", expected=same.revision)
    assert not store.assessments([made.support_digest], "w1")


def test_support_digests_cover_old_revisions(store: SupportStore) -> None:
    first = commit(store, "a", 1)
    second = commit(store, "a", 2, expected=first.revision)
    assert store.support_digests() == {first.support_digest, second.support_digest}


def test_store_keeps_everything_when_it_is_opened_again(store: SupportStore, place: Place) -> None:
    made = commit(store, "a", 1)
    store.save_assessment(made.support_digest, "w1", ASSESSMENT)
    store.close()
    again = open_store(place)
    assert again.current("a") == made
    assert again.assessments([made.support_digest], "w1")
    again.close()


def test_parameters_are_kept(store: SupportStore) -> None:
    made, added = record("a", 1, parameters=Parameters(threshold=0.25, min_area_px=12, description="ß"))
    store.commit(made, added.blobs, expected=None, limits=LIMITS)
    found = store.current("a")
    assert found is not None
    assert found.parameters == Parameters(threshold=0.25, min_area_px=12, description="ß")
