"""What schemathesis makes files of; named in SCHEMATHESIS_HOOKS."""

from __future__ import annotations

from random import Random

import schemathesis
from hypothesis import strategies as st

from fuzz.inputs import image_file

FILES = st.integers(0, 2**32 - 1).map(lambda seed: image_file(Random(seed), 0.4))

schemathesis.openapi.format("binary", FILES)
schemathesis.openapi.media_type("image/*", FILES)
