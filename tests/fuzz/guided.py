"""One target under atheris, which keeps what reaches new code: `python tests/fuzz/guided.py image -runs=1000`."""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

with atheris.instrument_imports(include=["lerenet.imaging", "PIL"]):
    from fuzz import inputs, targets
    from lerenet.imaging import encode_coco_rle


def _rle(data: bytes) -> None:
    targets.read_rle({"size": [inputs.HEIGHT, inputs.WIDTH], "counts": data})


READERS: dict[str, Callable[[bytes], None]] = {"image": targets.read_image, "mask": targets.read_mask, "rle": _rle}


def main() -> None:
    """Runs libFuzzer with its own arguments; seeds are valid files."""
    warnings.filterwarnings("ignore")
    name = sys.argv.pop(1)
    read = READERS[name]
    seeds = (b"0123", encode_coco_rle(inputs.mask())["counts"].encode()) if name == "rle" else inputs.valid_files()
    with tempfile.TemporaryDirectory() as corpus:
        for i, data in enumerate(seeds):
            (Path(corpus) / str(i)).write_bytes(data)

        def one(data: bytes) -> None:
            targets.is_refused(read, data)

        atheris.Setup([*sys.argv, "-close_fd_mask=1", corpus], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
