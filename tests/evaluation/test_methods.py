from __future__ import annotations

import torch

from builders import tiny_network
from lerenet.evaluation.methods import standard_methods
from lerenet.network import PAPER_VGG, build_lerenet


def test_metal_network_is_measured_beside_its_training_free_rows() -> None:
    methods = standard_methods(tiny_network(), torch.device("cpu"))
    assert [method.name for method in methods] == ["LERENet", "pooled prototypes", "dense matching", "self-support"]


def test_paper_network_is_measured_alone() -> None:
    methods = standard_methods(build_lerenet(PAPER_VGG).eval(), torch.device("cpu"))
    assert [method.name for method in methods] == ["LERENet"]
