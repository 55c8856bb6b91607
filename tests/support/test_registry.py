from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lerenet.errors import (
    ClassExists,
    InvalidSupport,
    LimitExceeded,
    MalformedRequest,
    NoSupportClasses,
    PreconditionFailed,
    RegistryError,
    UnknownClass,
)
from lerenet.imaging import Image, ImageLimits, decode_mask
from lerenet.support import UNSET, Limits, ParameterChanges, Parameters, SqliteStore, SupportRegistry
from support.classes import (
    CountingNetwork,
    Encoded,
    content,
    files_under,
    image,
    mask,
    normal,
    open_registry,
    prototype_cache,
    shot,
    shots,
)

Registry = SupportRegistry[Encoded]


def work_done(network: CountingNetwork) -> tuple[int, int]:
    return network.n_encoded, network.n_assessed


async def test_create_answers_with_a_class_that_is_ready(registry: Registry) -> None:
    change = await registry.create("a", shots(1, 2), [normal(1)], ParameterChanges(description="scratch"))
    made = change.registered
    assert change.is_created
    assert change.is_changed
    assert [s.index for s in made.record.shots] == [0, 1]
    assert made.record.parameters.description == "scratch"
    assert (made.threshold, made.scale, made.loo_iou, made.is_ready) == (0.35, 0.5, 0.75, True)


async def test_create_records_sizes(registry: Registry) -> None:
    (made,) = (await registry.create("a", shots(3))).registered.record.shots
    assert (made.height, made.width, made.area_px) == (24, 32, int(mask(3).sum()))


async def test_create_costs_nothing_when_the_content_is_there(registry: Registry, network: CountingNetwork) -> None:
    first = await registry.create("a", shots(1, 2), [normal(1)])
    done = work_done(network)
    again = await registry.create("a", shots(1, 2), [normal(1)])
    assert not again.is_created
    assert not again.is_changed
    assert again.registered == first.registered
    assert work_done(network) == done


async def test_create_spares_a_class_that_was_tuned_since(registry: Registry) -> None:
    await registry.create("a", shots(1))
    tuned = await registry.patch("a", ParameterChanges(threshold=0.9))
    again = await registry.create("a", shots(1))
    assert again.registered.record.revision == tuned.registered.record.revision
    with pytest.raises(ClassExists):
        await registry.create("a", shots(1), mentioned=ParameterChanges(threshold=0.2))


@pytest.mark.parametrize(
    ("seeds", "normals"), [((1,), []), ((2, 1), []), ((1, 2, 3), []), ((1, 2), [normal(1)])], ids=str
)
async def test_create_refuses_a_name_with_other_content(
    registry: Registry, network: CountingNetwork, seeds: Sequence[int], normals: list[object]
) -> None:
    await registry.create("a", shots(1, 2))
    done = work_done(network)
    with pytest.raises(ClassExists) as caught:
        await registry.create("a", shots(*seeds), [normal(1)] if normals else [])
    assert caught.value.pointer == "/name"
    assert work_done(network) == done


async def test_create_refuses_a_class_without_shots(registry: Registry) -> None:
    with pytest.raises(InvalidSupport):
        await registry.create("a", [], [normal(1)])


async def test_create_refuses_a_bad_name(registry: Registry) -> None:
    with pytest.raises(InvalidSupport):
        await registry.create("../a", shots(1))
    with pytest.raises(InvalidSupport):
        await registry.put("a@b", shots(1))


async def test_create_leaves_nothing_when_encoding_fails(
    registry: Registry, network: CountingNetwork, root: Path
) -> None:
    network.failures.append(MemoryError())
    with pytest.raises(MemoryError):
        await registry.create("a", shots(1))
    assert await registry.count() == 0
    assert files_under(root / "blobs") == set()
    assert (await registry.create("a", shots(1))).is_created


async def test_limits_hold_shots_normals_classes(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network, limits=Limits(max_shots=2, max_normals=1, max_classes=2))
    with pytest.raises(LimitExceeded, match="3 images; the limit is 2") as caught:
        await registry.create("a", shots(1, 2, 3))
    assert caught.value.pointer == "/images"
    with pytest.raises(LimitExceeded, match="2 normals; the limit is 1"):
        await registry.create("a", shots(1), [normal(1), normal(2)])
    await registry.create("a", shots(1, 2))
    await registry.put("b", shots(3))
    with pytest.raises(LimitExceeded, match="the limit is 2"):
        await registry.create("c", shots(4))
    with pytest.raises(LimitExceeded):
        await registry.append("a", shots(3))
    assert network.n_encoded == 2
    await registry.close()


async def test_class_beyond_a_lowered_limit_can_still_be_tuned(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    await registry.create("a", shots(1, 2, 3))
    await registry.close()
    registry = open_registry(root, network, limits=Limits(max_shots=1))
    assert (await registry.patch("a", ParameterChanges(threshold=0.4))).is_changed
    assert (await registry.drop_shot("a", 0)).is_changed
    with pytest.raises(LimitExceeded):
        await registry.append("a", shots(4))
    await registry.close()


async def test_put_creates_then_replaces(registry: Registry) -> None:
    first = await registry.put("a", shots(1), parameters=Parameters(threshold=0.8))
    second = await registry.put("a", shots(2))
    third = await registry.put("a", shots(2))
    assert [first.is_created, second.is_created, third.is_created] == [True, False, False]
    assert [first.is_changed, second.is_changed, third.is_changed] == [True, True, False]
    assert second.registered.record.parameters == Parameters()
    assert second.registered.record.created_at == first.registered.record.created_at


async def test_put_returns_to_content_of_before(registry: Registry, network: CountingNetwork) -> None:
    first = await registry.put("a", shots(1))
    await registry.put("a", shots(2))
    done = work_done(network)
    again = await registry.put("a", shots(1))
    assert again.is_changed
    assert again.registered.record.revision == first.registered.record.revision
    assert work_done(network) == done


async def test_put_honours_preconditions(registry: Registry) -> None:
    with pytest.raises(PreconditionFailed):
        await registry.put("a", shots(1), if_match="*")
    with pytest.raises(PreconditionFailed):
        await registry.put("a", shots(1), if_match="0" * 16)
    first = (await registry.put("a", shots(1), if_none_match="*")).registered.record
    with pytest.raises(PreconditionFailed):
        await registry.put("a", shots(2), if_none_match="*")
    with pytest.raises(PreconditionFailed, match=first.revision):
        await registry.put("a", shots(2), if_match="0" * 16)
    second = (await registry.put("a", shots(2), if_match=first.revision)).registered.record
    with pytest.raises(PreconditionFailed):
        await registry.put("a", shots(3), if_match=first.revision)
    with pytest.raises(PreconditionFailed):
        await registry.put("a", shots(3), if_none_match=second.revision)
    assert (await registry.put("a", shots(3), if_match="*")).is_changed


@pytest.mark.parametrize("verb", ["append", "drop_shot", "patch", "delete"])
async def test_every_write_honours_if_match(registry: Registry, verb: str) -> None:
    made = (await registry.create("a", shots(1, 2))).registered.record
    arguments: dict[str, tuple[object, ...]] = {
        "append": (shots(3),),
        "drop_shot": (0,),
        "patch": (ParameterChanges(threshold=0.1),),
        "delete": (),
    }
    write = getattr(registry, verb)
    with pytest.raises(PreconditionFailed):
        await write("a", *arguments[verb], if_match="0" * 16)
    assert (await registry.get("a")).record.revision == made.revision
    await write("a", *arguments[verb], if_match=made.revision)


async def test_append_adds_behind_what_is_there(registry: Registry) -> None:
    await registry.create("a", shots(1))
    change = await registry.append("a", shots(2), [normal(1)])
    assert change.is_changed
    assert not change.is_created
    assert [s.identity for s in change.registered.record.shots] == [s.identity for s in content(1, 2).shots]
    (resolved,) = await registry.resolve(["a"])
    assert (resolved.encoding.n_shots, resolved.encoding.n_normals) == (2, 1)


async def test_append_reads_stored_pixels_as_they_were(registry: Registry) -> None:
    await registry.create("a", shots(1), [normal(1)])
    await registry.append("a", shots(2))
    await registry.create("b", shots(1, 2), [normal(1)])
    at_once, one_by_one = await registry.resolve(["b", "a"])
    assert at_once.encoding == one_by_one.encoding


async def test_append_is_a_no_op_for_pairs_that_are_there(registry: Registry, network: CountingNetwork) -> None:
    first = await registry.create("a", shots(1, 2), [normal(1)])
    done = work_done(network)
    again = await registry.append("a", shots(2, 1), [normal(1)])
    assert not again.is_changed
    assert again.registered == first.registered
    assert work_done(network) == done


async def test_append_takes_only_what_is_new(registry: Registry) -> None:
    await registry.create("a", shots(1, 2))
    change = await registry.append("a", shots(2, 3, 3))
    assert len(change.registered.record.shots) == 3


async def test_append_takes_another_mask_of_the_same_image(registry: Registry) -> None:
    await registry.create("a", [shot(1, mask_seed=1)])
    assert len((await registry.append("a", [shot(1, mask_seed=2)])).registered.record.shots) == 2


async def test_append_to_nothing_is_refused(registry: Registry) -> None:
    with pytest.raises(UnknownClass):
        await registry.append("a", shots(1))


async def test_drop_shot_moves_the_others_up(registry: Registry, network: CountingNetwork) -> None:
    await registry.create("a", shots(1, 2, 3))
    left = (await registry.drop_shot("a", 1)).registered.record
    assert [s.identity for s in left.shots] == [s.identity for s in content(1, 3).shots]
    assert [s.index for s in left.shots] == [0, 1]
    assert network.n_encoded == 2


async def test_drop_shot_keeps_the_last_one(registry: Registry) -> None:
    await registry.create("a", shots(1))
    with pytest.raises(InvalidSupport, match="delete the class"):
        await registry.drop_shot("a", 0)


@pytest.mark.parametrize("index", [-1, 2])
async def test_drop_shot_refuses_an_unknown_index(registry: Registry, index: int) -> None:
    await registry.create("a", shots(1, 2))
    with pytest.raises(UnknownClass, match="0 to 1"):
        await registry.drop_shot("a", index)


async def test_patch_makes_a_revision_without_encoding(registry: Registry, network: CountingNetwork) -> None:
    first = (await registry.create("a", shots(1, 2))).registered
    done = work_done(network)
    tuned = (await registry.patch("a", ParameterChanges(threshold=0.9, min_area_px=5))).registered
    assert tuned.record.revision != first.record.revision
    assert (tuned.threshold, tuned.record.parameters.min_area_px) == (0.9, 5)
    assert tuned.loo_iou == 0.75
    (resolved,) = await registry.resolve(["a"])
    assert resolved.threshold == 0.9
    assert work_done(network) == done


async def test_patch_sets_the_least_score(registry: Registry) -> None:
    first = (await registry.create("a", shots(1, 2))).registered
    assert first.min_score == 0.45
    assert (await registry.patch("a", ParameterChanges(min_score=0.0))).registered.min_score == 0.0
    (resolved,) = await registry.resolve(["a"])
    assert (resolved.min_score, resolved.confidence) == (0.0, (-1.0, 0.75, 0.25))
    back = (await registry.patch("a", ParameterChanges(min_score=None))).registered
    assert (back.min_score, back.record.revision) == (0.45, first.record.revision)


async def test_patch_leaves_what_it_does_not_mention(registry: Registry) -> None:
    await registry.create("a", shots(1), mentioned=ParameterChanges(0.7, 3, "b"))
    tuned = (await registry.patch("a", ParameterChanges(description="c"))).registered.record
    assert tuned.parameters == Parameters(0.7, 3, "c")


async def test_patch_returns_to_the_suggested_threshold(registry: Registry) -> None:
    first = await registry.create("a", shots(1))
    await registry.patch("a", ParameterChanges(threshold=0.9))
    back = await registry.patch("a", ParameterChanges(threshold=None))
    assert back.registered.threshold == 0.35
    assert back.registered.record.revision == first.registered.record.revision


async def test_patch_changes_nothing_when_values_are_as_before(registry: Registry) -> None:
    await registry.create("a", shots(1))
    assert not (await registry.patch("a", ParameterChanges(UNSET, 0, ""))).is_changed


async def test_patch_refuses_values_outside_their_range(registry: Registry) -> None:
    await registry.create("a", shots(1))
    with pytest.raises(MalformedRequest):
        await registry.patch("a", ParameterChanges(threshold=1.5))


async def test_get_finds_revisions_that_stay(registry: Registry) -> None:
    first = (await registry.create("a", shots(1))).registered
    second = (await registry.append("a", shots(2))).registered
    assert await registry.get("a") == second
    assert await registry.get(f"a@{first.record.revision}") == first
    assert await registry.revisions("a") == [second.record.revision, first.record.revision]


@pytest.mark.parametrize("reference", ["b", "a@", "a@0000000000000000", "b@0000000000000000", "a/..", ""])
async def test_get_refuses_what_does_not_exist(registry: Registry, reference: str) -> None:
    await registry.create("a", shots(1))
    with pytest.raises(UnknownClass):
        await registry.get(reference)


async def test_revisions_of_an_unknown_class_are_refused(registry: Registry) -> None:
    with pytest.raises(UnknownClass):
        await registry.revisions("a")


async def test_list_goes_through_all_classes_page_by_page(registry: Registry, network: CountingNetwork) -> None:
    for i in range(200):
        await registry.create(f"c{i:03}", shots(1), mentioned=ParameterChanges(description=str(i)))
    first = await registry.list(limit=150)
    second = await registry.list(first.next, limit=150)
    names = [found.record.name for found in (*first.classes, *second.classes)]
    assert names == [f"c{i:03}" for i in range(200)]
    assert second.next is None
    assert all(found.is_ready for found in second.classes)
    # one content under two hundred names is encoded once
    assert work_done(network) == (1, 1)


async def test_shot_files_come_back(registry: Registry) -> None:
    await registry.create("a", shots(1, 2))
    assert (await registry.shot_image("a", 1)).data == shot(2).data
    stored = decode_mask((await registry.shot_mask("a", 1)).data, ImageLimits())
    np.testing.assert_array_equal(stored, mask(2))
    with pytest.raises(UnknownClass):
        await registry.shot_image("a", 2)
    with pytest.raises(UnknownClass):
        await registry.shot_mask("b", 0)


async def test_delete_removes_every_trace(registry: Registry, root: Path) -> None:
    await registry.create("a", shots(1))
    await registry.append("a", shots(2))
    await registry.delete("a")
    for folder in ("blobs", "revisions", "prototypes"):
        assert files_under(root / folder) == set()
    with pytest.raises(UnknownClass):
        await registry.get("a")
    with pytest.raises(UnknownClass):
        await registry.delete("a")


async def test_delete_spares_what_another_class_shares(
    registry: Registry, root: Path, network: CountingNetwork
) -> None:
    await registry.create("a", shots(1))
    await registry.create("b", shots(1))
    await registry.delete("a")
    assert (await registry.shot_image("b", 0)).data == shot(1).data
    await registry.resolve()
    assert network.n_encoded == 1


async def test_create_after_delete_starts_a_new_class(registry: Registry) -> None:
    first = (await registry.create("a", shots(1))).registered.record
    await registry.delete("a")
    second = await registry.create("a", shots(1))
    assert second.is_created
    assert second.registered.record.revision == first.revision
    assert second.registered.record.created_at > first.created_at


async def test_resolve_gives_all_classes_by_name(registry: Registry) -> None:
    for name in ("b", "a", "c"):
        await registry.create(name, shots(ord(name)))
    assert [found.record.name for found in await registry.resolve()] == ["a", "b", "c"]
    assert [found.record.name for found in await registry.resolve([])] == ["a", "b", "c"]


async def test_resolve_keeps_the_order_of_the_names(registry: Registry) -> None:
    for name in ("a", "b", "c"):
        await registry.create(name, shots(ord(name)))
    assert [found.record.name for found in await registry.resolve(["c", "a", "c"])] == ["c", "a"]


async def test_resolve_gives_an_older_revision_beside_the_current_one(registry: Registry) -> None:
    first = (await registry.create("a", shots(1))).registered.record
    second = (await registry.append("a", shots(2))).registered.record
    found = await registry.resolve([f"a@{first.revision}", "a", f"a@{second.revision}"])
    assert [(r.record.revision, r.encoding.n_shots) for r in found] == [(first.revision, 1), (second.revision, 2)]


async def test_resolve_raises_when_nothing_is_registered(registry: Registry) -> None:
    with pytest.raises(NoSupportClasses):
        await registry.resolve()


async def test_resolve_raises_over_a_name_that_is_unknown(registry: Registry) -> None:
    await registry.create("a", shots(1))
    with pytest.raises(UnknownClass, match="'b'"):
        await registry.resolve(["a", "b"])


async def test_resolve_sees_what_another_process_did(registry: Registry, root: Path) -> None:
    await registry.create("a", shots(1))
    await registry.resolve()
    other = open_registry(root, CountingNetwork())
    await other.create("b", shots(2))
    await other.append("a", shots(3))
    assert [len(found.record.shots) for found in await registry.resolve()] == [2, 1]
    await other.delete("a")
    assert [found.record.name for found in await registry.resolve()] == ["b"]
    await other.close()


async def test_classes_survive_a_restart_without_work(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    made = (await registry.create("a", shots(1, 2), [normal(1)])).registered
    (before,) = await registry.resolve()
    await registry.close()
    idle = CountingNetwork(threshold=0.9)
    registry = open_registry(root, idle)
    assert await registry.get("a") == made
    (after,) = await registry.resolve()
    assert (after.encoding, after.threshold) == (before.encoding, before.threshold)
    assert work_done(idle) == (0, 0)
    await registry.close()


async def test_new_weights_rebuild_on_first_use(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    revision = (await registry.create("a", shots(1))).registered.record.revision
    await registry.create("b", shots(2), mentioned=ParameterChanges(threshold=0.6))
    await registry.close()
    newer = CountingNetwork(threshold=0.8)
    registry = open_registry(root, newer, weights="w2")
    listed = (await registry.list()).classes
    assert [(found.is_ready, found.threshold) for found in listed] == [(False, 0.5), (False, 0.6)]
    assert work_done(newer) == (0, 0)
    (resolved,) = await registry.resolve(["a"])
    assert resolved.threshold == 0.8
    assert resolved.record.revision == revision
    assert work_done(newer) == (1, 1)
    assert (await registry.get("b")).threshold == 0.6
    assert work_done(newer) == (2, 2)
    assert all(found.is_ready for found in (await registry.list()).classes)
    await registry.close()


async def test_old_weights_find_their_prototypes_again(root: Path, network: CountingNetwork) -> None:
    for weights in ("w1", "w2", "w1"):
        registry = open_registry(root, network, weights=weights)
        await registry.create("a", shots(1))
        await registry.resolve()
        await registry.close()
    assert work_done(network) == (2, 2)


async def test_damaged_prototypes_are_made_again(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    await registry.create("a", shots(1), [normal(1)])
    (before,) = await registry.resolve()
    await registry.close()
    (path,) = (root / "prototypes").rglob("*.prototypes")
    path.write_bytes(path.read_bytes()[:-1])
    registry = open_registry(root, network)
    (after,) = await registry.resolve()
    assert after.encoding == before.encoding
    # only the prototypes: the assessment was whole
    assert work_done(network) == (2, 1)
    await registry.close()


async def test_warming_makes_every_class_ready(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    for seed in range(3):
        await registry.create(f"c{seed}", shots(seed))
    await registry.close()
    newer = CountingNetwork()
    registry = open_registry(root, newer, weights="w2")
    newer.failures.append(RegistryError("one class fails"))
    assert await registry.warm() == 2
    assert await registry.warm() == 3
    done = work_done(newer)
    await registry.resolve()
    assert work_done(newer) == done == (4, 3)
    await registry.close()


async def test_warming_reads_no_more_than_memory_holds(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    for seed in range(8):
        await registry.create(f"c{seed}", shots(seed))
    await registry.close()
    unused = sorted((root / "prototypes").rglob("*.prototypes"))[0]
    unused.unlink()
    newer, cache = CountingNetwork(), prototype_cache(root, budget_bytes=200)
    registry = open_registry(root, newer, cache=cache)
    assert await registry.warm() == 8
    # three fit, a fourth shows it; the missing one is made wherever its turn is
    assert cache.counts.disk_hits <= 4
    assert work_done(newer) == (1, 0)
    assert unused.exists()
    await registry.close()


async def test_damaged_image_is_reported_with_a_remedy(root: Path, network: CountingNetwork) -> None:
    registry = open_registry(root, network)
    made = (await registry.create("a", shots(1))).registered.record
    sha256 = made.shots[0].image_sha256
    (root / "blobs" / sha256[:2] / sha256).write_bytes(b"rot")
    # prototypes are there, so segmentation goes on
    assert await registry.resolve()
    with pytest.raises(RegistryError, match=r"damaged.*Register"):
        await registry.shot_image("a", 0)
    await registry.close()
    registry = open_registry(root, network, weights="w2")
    with pytest.raises(RegistryError, match=r"Register the same images again"):
        await registry.resolve()
    await registry.close()


async def test_revisions_beyond_the_last_twenty_take_their_prototypes_along(registry: Registry, root: Path) -> None:
    first = (await registry.put("a", shots(0))).registered.record
    for seed in range(1, 22):
        await registry.put("a", shots(seed))
    assert len(await registry.revisions("a")) == 20
    assert len(files_under(root / "prototypes")) == 20
    with pytest.raises(UnknownClass):
        await registry.resolve([f"a@{first.revision}"])


async def test_depth_of_an_image_is_kept_for_the_next_encoding(root: Path, network: CountingNetwork) -> None:
    seen: list[int] = []

    def decode(data: bytes, bits: int) -> Image:
        seen.append(bits)
        return image(1)

    registry = SupportRegistry(
        SqliteStore(root),
        prototype_cache(root),
        encode=network.encode,
        assess=network.assess,
        weights_digest="w1",
        decode=decode,
    )
    await registry.create("a", [replace(shot(1), bits=12)])
    await registry.append("a", shots(2))
    assert seen == [12]
    await registry.close()
