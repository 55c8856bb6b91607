"""A class as inference holds it, and as bytes for a cache."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors import numpy as safetensors

from lerenet.inference.geometry import ratio_of
from lerenet.network import SupportEncoding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FORMAT = "lerenet-class-1"


@dataclass(frozen=True, eq=False)
class ClassEncoding:
    """Everything about a support class that segmenting needs.

    Attributes:
        scale: Working scale, 1, 1/2, 1/4 or 1/8 of the original size.
        encoding: One class, float32.
    """

    scale: float
    encoding: SupportEncoding


def dump_encoding(encoding: ClassEncoding) -> bytes:
    """The encoding as safetensors, with the scale and a digest of the tensors in the metadata."""
    arrays = encoding.encoding.numpy()
    header = {"scale": encoding.scale, "sha256": _digest(arrays)}
    return safetensors.save(arrays, {FORMAT: json.dumps(header)})  # one entry: the order of several would vary


def load_encoding(data: bytes) -> ClassEncoding:
    """Back from `dump_encoding`, on the CPU.

    Raises:
        ValueError: Truncated, damaged, or not such a dump.
    """
    try:
        arrays = safetensors.load(data)
        metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        header = json.loads(metadata[FORMAT])
        scale, sha256 = float(header["scale"]), header["sha256"]
    except (SafetensorError, KeyError, TypeError, ValueError) as err:
        raise ValueError(f"no class encoding of format {FORMAT} in these {len(data)} bytes: {err!r}") from err
    if sha256 != _digest(arrays):
        raise ValueError(f"the class encoding in these {len(data)} bytes is damaged")
    ratio_of(scale)
    return ClassEncoding(scale, SupportEncoding.from_numpy(arrays))


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} ".encode())
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
