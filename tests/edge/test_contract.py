"""The HTTP contract once more, where processes of their own speak HTTP."""

from __future__ import annotations

import pytest

from contract import asked_again

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

globals().update(asked_again())
