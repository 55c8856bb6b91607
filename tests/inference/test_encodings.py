from __future__ import annotations

import pytest
import torch

from lerenet.inference.encodings import ClassEncoding, dump_encoding, load_encoding
from lerenet.network import SupportEncoding


def example() -> ClassEncoding:
    generator = torch.Generator().manual_seed(0)
    tensors = {"bank": torch.randn(1, 4, 3, generator=generator), "nodes": torch.randn(1, 2, 2, generator=generator)}
    return ClassEncoding(0.25, SupportEncoding(tensors))


def test_encoding_comes_back_from_its_dump() -> None:
    before, after = example(), load_encoding(dump_encoding(example()))
    assert after.scale == 0.25
    assert after.encoding.tensors.keys() == before.encoding.tensors.keys()
    assert all(torch.equal(after.encoding.tensors[name], t) for name, t in before.encoding.tensors.items())


def test_dump_is_the_same_every_time() -> None:
    assert dump_encoding(example()) == dump_encoding(example())


@pytest.mark.parametrize("damage", [b"", b"\0" * 8, b"not a safetensors file at all", b"\xff" * 64])
def test_bytes_that_are_no_dump_are_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match=f"{len(damage)} bytes"):
        load_encoding(damage)


def test_truncated_dump_is_refused() -> None:
    with pytest.raises(ValueError, match="bytes"):
        load_encoding(dump_encoding(example())[:-5])


def test_flipped_bit_is_noticed() -> None:
    data = bytearray(dump_encoding(example()))
    data[-3] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        load_encoding(bytes(data))


def test_dump_of_another_format_is_refused() -> None:
    data = dump_encoding(example()).replace(b"lerenet-class-1", b"lerenet-class-0")
    with pytest.raises(ValueError, match="lerenet-class-1"):
        load_encoding(data)
