"""Support encodings: immutable sets of named tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lerenet.network import SupportEncoding


def _encoding(value: float = 0.0, n: int = 2) -> SupportEncoding:
    return SupportEncoding({"bank": torch.full((n, 3), value), "nodes": torch.full((n, 2, 2), value)})


def test_an_encoding_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        _encoding().tensors["bank"] = torch.zeros(1)  # type: ignore[index]


def test_an_encoding_keeps_what_it_was_given_when_the_source_changes() -> None:
    source = {"bank": torch.zeros(1, 3)}
    encoding = SupportEncoding(source)
    source["other"] = torch.zeros(1)
    assert list(encoding.tensors) == ["bank"]


@pytest.mark.parametrize("index", [0, -1])
def test_one_class_keeps_its_leading_axis(index: int) -> None:
    assert len(_encoding()[index]) == 1


def test_stacking_undoes_selecting() -> None:
    encoding = SupportEncoding({"bank": torch.arange(6.0).view(2, 3)})
    stacked = SupportEncoding.stack([encoding[0], encoding[1]])
    assert torch.equal(stacked.tensors["bank"], encoding.tensors["bank"])


def test_arrays_and_back_gives_the_same_tensors() -> None:
    encoding = _encoding(1.5)
    arrays = encoding.numpy()
    assert all(array.dtype == np.float32 for array in arrays.values())
    restored = SupportEncoding.from_numpy(arrays)
    assert torch.equal(restored.tensors["nodes"], encoding.tensors["nodes"])
