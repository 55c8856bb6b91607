"""The container of a class's prototypes."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from lerenet.network.encoding import SupportEncoding


def encoding_of(n_classes: int) -> SupportEncoding:
    torch.manual_seed(n_classes)
    return SupportEncoding({"bank": torch.randn(n_classes, 5, 4), "nodes": torch.randn(n_classes, 3, 3)})


def is_equal(left: SupportEncoding, right: SupportEncoding) -> bool:
    return left.tensors.keys() == right.tensors.keys() and all(
        torch.equal(left.tensors[name], right.tensors[name]) for name in left.tensors
    )


def test_encoding_counts_its_classes() -> None:
    assert len(encoding_of(3)) == 3


def test_encoding_refuses_another_tensor_under_a_name() -> None:
    with pytest.raises(TypeError):
        cast("dict[str, Tensor]", encoding_of(1).tensors)["bank"] = torch.zeros(1)


def test_encoding_does_not_follow_the_mapping_it_was_made_of() -> None:
    tensors = {"bank": torch.zeros(1, 2)}
    encoding = SupportEncoding(tensors)
    tensors["nodes"] = torch.zeros(1, 2)
    assert list(encoding.tensors) == ["bank"]


@pytest.mark.parametrize("index", [0, 2, -1])
def test_encoding_keeps_the_class_axis_when_indexed_by_one_number(index: int) -> None:
    encoding = encoding_of(3)
    assert len(encoding[index]) == 1
    assert torch.equal(encoding[index].tensors["bank"][0], encoding.tensors["bank"][index])


def test_encoding_gathers_classes_by_a_tensor_with_repeats() -> None:
    encoding = encoding_of(3)
    assert torch.equal(encoding[torch.tensor([2, 2, 0])].tensors["nodes"], encoding.tensors["nodes"][[2, 2, 0]])


def test_stack_of_single_classes_is_the_whole() -> None:
    encoding = encoding_of(3)
    assert is_equal(SupportEncoding.stack([encoding[0], encoding[1:]]), encoding)


def test_arrays_give_the_same_encoding_back() -> None:
    encoding = encoding_of(2)
    assert is_equal(SupportEncoding.from_numpy(encoding.numpy()), encoding)


def test_arrays_are_float32_when_the_encoding_is_bfloat16() -> None:
    encoding = SupportEncoding({"bank": torch.ones(1, 2, dtype=torch.bfloat16)})
    assert encoding.numpy()["bank"].dtype == np.float32


def test_encoding_does_not_follow_the_arrays_it_was_made_of() -> None:
    array = np.zeros((1, 2), np.float32)
    encoding = SupportEncoding.from_numpy({"bank": array})
    array[:] = 1
    assert encoding.tensors["bank"].max() == 0
