"""The HTTP contract once more, through Serve's proxy."""

from __future__ import annotations

import pytest

from contract import asked_again

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

globals().update(asked_again())
