"""The core as `lerenet serve` runs it, without a network: it finds grey levels."""

from __future__ import annotations

import sys

from fakes import LevelSegmenter, engine_with
from lerenet.edge.core import serve
from lerenet.settings import load_settings

if __name__ == "__main__":
    sys.exit(serve(load_settings(), build=engine_with(LevelSegmenter())))
