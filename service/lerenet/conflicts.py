"""What becomes of a class whose name is taken by other content, where classes come in from elsewhere."""

from __future__ import annotations

from typing import Literal

OnConflict = Literal["refuse", "rename", "replace"]
"""On import of an exported file."""

OnCopyConflict = Literal["refuse", "replace"]
"""On copying of a whole registry, which keeps every name."""
