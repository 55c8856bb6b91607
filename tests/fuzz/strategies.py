"""hypothesis strategies of the same inputs: bytes by a seed, values piece by piece, so that they shrink."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import strategies as st

from fuzz import heads, inputs

SEEDS = st.integers(0, 2**32 - 1).map(Random)

image_files = SEEDS.map(inputs.image_file)
mask_files = SEEDS.map(inputs.mask_file)
brushes = SEEDS.map(inputs.brush)
forms = st.tuples(SEEDS, st.booleans()).map(lambda made: inputs.form(made[0], is_registration=made[1]))
requests = SEEDS.map(heads.request)

_numbers: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(inputs.NUMBERS), st.integers(-10, inputs.HEIGHT * inputs.WIDTH), st.floats(), st.none()
)
_sizes = st.one_of(st.just([inputs.HEIGHT, inputs.WIDTH]), st.lists(_numbers, max_size=3), st.none())
_counts = st.one_of(
    st.lists(_numbers, max_size=9), st.text(st.characters(min_codepoint=40, max_codepoint=120)), st.binary(), st.none()
)
rles: st.SearchStrategy[Any] = st.fixed_dictionaries({}, optional={"size": _sizes, "counts": _counts})

_json: st.SearchStrategy[Any] = st.recursive(
    st.one_of(_numbers, st.text(max_size=5), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=7),
        st.dictionaries(st.sampled_from(["size", "counts", "segmentation", "x"]), inner, max_size=3),
    ),
    max_leaves=20,
)
annotation_texts = st.one_of(
    SEEDS.map(inputs.annotation_text), st.lists(_json, min_size=1, max_size=1).map(json.dumps), st.text(max_size=20)
)
