from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lerenet.errors import InvalidMask, InvalidSupport, MalformedRequest
from lerenet.support import Parameters, ShotUpload, is_name
from lerenet.support.manifests import from_document, to_document
from lerenet.support.records import MAX_DESCRIPTION, check_name, revision_of
from lerenet.support.uploads import hash_uploads, mask_pixels_sha256
from support.classes import content, record, shot

TUNED = [Parameters(threshold=0.5), Parameters(min_area_px=3), Parameters(description="a")]


@pytest.mark.parametrize("name", ["a", "0", "scratch-1", "A.b_c-9", "x" * 64])
def test_name_is_taken_within_the_rule(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", ".a", "-a", "_a", "a/b", "a@b", "a b", "a\n", "x" * 65, "été", "..", "a\x00"])
def test_name_is_refused_outside_the_rule(name: str) -> None:
    with pytest.raises(InvalidSupport) as caught:
        check_name(name)
    assert caught.value.pointer == "/name"


def test_revision_is_sixteen_hex_digits() -> None:
    assert len(bytes.fromhex(record("a", 1)[0].revision)) == 8


def test_revision_does_not_depend_on_the_name() -> None:
    assert record("a", 1, 2)[0].revision == record("b", 1, 2)[0].revision


def test_revision_depends_on_the_order_of_shots() -> None:
    assert record("a", 1, 2)[0].revision != record("a", 2, 1)[0].revision


@pytest.mark.parametrize("parameters", TUNED)
def test_revision_depends_on_each_parameter(parameters: Parameters) -> None:
    plain, tuned = record("a", 1)[0], record("a", 1, parameters=parameters)[0]
    assert plain.revision != tuned.revision
    assert plain.support_digest == tuned.support_digest


def test_revision_depends_on_mask_pixels() -> None:
    first, second = (hash_uploads([shot(1, mask_seed)], []).shots for mask_seed in (1, 2))
    assert revision_of(first, (), Parameters()) != revision_of(second, (), Parameters())


def test_revision_ignores_how_a_mask_was_compressed() -> None:
    (made,) = content(1).shots
    other = replace(made, mask_sha256="0" * 64)
    assert revision_of((made,), (), Parameters()) == revision_of((other,), (), Parameters())


def test_revision_depends_on_the_depth_an_image_is_scaled_by() -> None:
    (made,) = content(1).shots
    assert revision_of((made,), (), Parameters()) != revision_of((replace(made, bits=12),), (), Parameters())


def test_revision_is_stable_across_versions() -> None:
    # a changed digest would turn every safe retry into a conflict and orphan every revision a client noted down
    shots = tuple(replace(s, image_sha256="1" * 64, pixels_sha256="2" * 64) for s in content(1).shots)
    assert revision_of(shots, (), Parameters(threshold=0.25, min_area_px=4, description="ä")) == "0d166e5ed7e7cf00"


def test_revision_depends_on_a_least_score() -> None:
    (made,) = content(1).shots
    assert revision_of((made,), (), Parameters()) != revision_of((made,), (), Parameters(min_score=0.0))


def test_mask_digest_tells_sizes_apart() -> None:
    assert mask_pixels_sha256(np.ones((4, 6), np.uint8)) != mask_pixels_sha256(np.ones((6, 4), np.uint8))


@pytest.mark.parametrize("name", ["threshold", "min_score"])
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_parameters_refuse_a_probability_outside_its_range(name: str, value: float) -> None:
    with pytest.raises(MalformedRequest) as caught:
        Parameters(**{name: value})  # type: ignore[arg-type]
    assert caught.value.pointer == f"/{name}"


def test_parameters_refuse_a_negative_area() -> None:
    with pytest.raises(MalformedRequest, match="min_area_px is -1"):
        Parameters(min_area_px=-1)


def test_parameters_refuse_a_long_description() -> None:
    with pytest.raises(MalformedRequest, match="2001 characters"):
        Parameters(description="x" * (MAX_DESCRIPTION + 1))


def test_record_survives_its_document() -> None:
    made, _ = record("a", 1, 2, parameters=Parameters(threshold=0.1, min_area_px=7, description="b", min_score=0.25))
    read = from_document(to_document(made))
    assert read == made
    assert read.revised_at == made.revised_at
    assert read.created_at.tzinfo is not None


def test_document_is_refused_when_its_content_is_not_its_revision() -> None:
    document = to_document(record("a", 1)[0])
    document["parameters"]["min_area_px"] = 9
    with pytest.raises(ValueError, match="not"):
        from_document(document)


def test_upload_is_refused_when_sizes_differ() -> None:
    good = shot(1)
    with pytest.raises(InvalidMask) as caught:
        hash_uploads([good, ShotUpload(good.data, good.image, good.mask[:-1])], [])
    assert caught.value.pointer == "/masks/1"


def test_upload_is_refused_when_nothing_is_marked() -> None:
    good = shot(1)
    with pytest.raises(InvalidMask):
        hash_uploads([ShotUpload(good.data, good.image, np.zeros_like(good.mask))], [])
