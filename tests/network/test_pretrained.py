"""ImageNet files are built here, key by key, as the public ones name and shape them; only the unused parts are thin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from lerenet.errors import WeightsError
from lerenet.network.build import build_lerenet
from lerenet.network.config import METAL, PAPER_RESNET, PAPER_VGG, NetworkConfig
from lerenet.network.lerenet import LERENet
from lerenet.network.paper.pretrained import load_backbone

StateDict = dict[str, Tensor]


def conv(key: str, n_in: int, n_out: int, kernel: int) -> StateDict:
    return {f"{key}.weight": torch.randn(n_out, n_in, kernel, kernel)}


def norm(key: str, n: int) -> StateDict:
    return {
        f"{key}.weight": torch.rand(n),
        f"{key}.bias": torch.randn(n),
        f"{key}.running_mean": torch.randn(n),
        f"{key}.running_var": torch.rand(n),
        f"{key}.num_batches_tracked": torch.tensor(7),
    }


def stages(n_stem: int) -> StateDict:
    """Stages 1 to 4 and the classifier; those after stage 1 are as named in the files but one channel wide."""
    state: StateDict = {}
    for stage, n_blocks in enumerate((3, 4, 6, 3), start=1):
        width = 64 if stage == 1 else 1
        for block in range(n_blocks):
            key, n_in = f"layer{stage}.{block}", n_stem if block == 0 else 4 * width
            state |= conv(f"{key}.conv1", n_in, width, 1) | norm(f"{key}.bn1", width)
            state |= conv(f"{key}.conv2", width, width, 3) | norm(f"{key}.bn2", width)
            state |= conv(f"{key}.conv3", width, 4 * width, 1) | norm(f"{key}.bn3", 4 * width)
            if block == 0:
                state |= conv(f"{key}.downsample.0", n_in, 4 * width, 1) | norm(f"{key}.downsample.1", 4 * width)
    return state | {"fc.weight": torch.randn(10, 4), "fc.bias": torch.randn(10)}


def torchvision_resnet50() -> StateDict:
    torch.manual_seed(0)
    return conv("conv1", 3, 64, 7) | norm("bn1", 64) | stages(n_stem=64)


def deep_stem_resnet50(names: tuple[str, ...] = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")) -> StateDict:
    torch.manual_seed(0)
    conv1, bn1, conv2, bn2, conv3, bn3 = names
    stem = conv(conv1, 3, 64, 3) | norm(bn1, 64) | conv(conv2, 64, 64, 3) | norm(bn2, 64)
    return stem | conv(conv3, 64, 128, 3) | norm(bn3, 128) | stages(n_stem=128)


def named_layer0_resnet50() -> StateDict:
    return deep_stem_resnet50(tuple(f"layer0.{part}" for part in ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")))


def numbered_layer0_resnet50() -> StateDict:
    return deep_stem_resnet50(tuple(f"layer0.{i}" for i in (0, 1, 3, 4, 6, 7)))


def vgg16_bn() -> StateDict:
    torch.manual_seed(0)
    state: StateDict = {}
    index, n_in = 0, 3
    for block in ((64, 64), (128, 128), (1, 1, 1), (1, 1, 1), (1, 1, 1)):
        for n_out in block:
            state |= conv(f"features.{index}", n_in, n_out, 3) | {f"features.{index}.bias": torch.randn(n_out)}
            state |= norm(f"features.{index + 1}", n_out)
            index, n_in = index + 3, n_out
        index += 1
    classifier = {f"classifier.{i}.{part}": torch.randn(3) for i in (0, 3, 6) for part in ("weight", "bias")}
    return state | classifier


PAPER_PLAIN = NetworkConfig(preset="paper", backbone="resnet50", stem="plain")
# (config, a file for it, one tensor of the file, where that tensor belongs)
CASES = {
    "torchvision": (PAPER_PLAIN, torchvision_resnet50, "conv1.weight", "stem.0.weight"),
    "deep-stem": (PAPER_RESNET, deep_stem_resnet50, "bn3.running_var", "stem.7.running_var"),
    "layer0-named": (PAPER_RESNET, named_layer0_resnet50, "layer0.conv2.weight", "stem.3.weight"),
    "layer0-numbered": (
        PAPER_RESNET,
        numbered_layer0_resnet50,
        "layer1.0.downsample.1.bias",
        "stage1.0.downsample.1.bias",
    ),
    "vgg16_bn": (PAPER_VGG, vgg16_bn, "features.10.bias", "layers.10.bias"),
}


def save_torch(state: StateDict, folder: Path) -> Path:
    path = folder / "imagenet.pth"
    torch.save(state, path)
    return path


def save_safetensors(state: StateDict, folder: Path) -> Path:
    path = folder / "imagenet.safetensors"
    save_file(state, path)
    return path


def save_wrapped(state: StateDict, folder: Path) -> Path:
    path = folder / "imagenet.pth.tar"
    torch.save({"epoch": 3, "state_dict": {f"module.{key}": tensor for key, tensor in state.items()}}, path)
    return path


def network_like(config: NetworkConfig) -> LERENet:
    torch.manual_seed(1)
    return build_lerenet(config)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("save", [save_torch, save_safetensors, save_wrapped])
def test_backbone_takes_every_tensor_of_its_file(
    case: str, save: Callable[[StateDict, Path], Path], tmp_path: Path
) -> None:
    config, build_file, key, own_key = CASES[case]
    network, state = network_like(config), build_file()
    before = {name: tensor.clone() for name, tensor in network.backbone.state_dict().items()}
    load_backbone(network, save(state, tmp_path))
    after = network.backbone.state_dict()
    assert torch.equal(after[own_key], state[key])
    # Every value in these files is random: one that stayed as it was has not been loaded.
    assert [name for name in after if torch.equal(after[name], before[name])] == []


@pytest.mark.parametrize("case", CASES)
def test_loading_leaves_the_parts_beside_the_backbone_alone(case: str, tmp_path: Path) -> None:
    config, build_file, *_ = CASES[case]
    network = network_like(config)
    others = {name: tensor.clone() for name, tensor in network.state_dict().items() if not name.startswith("backbone.")}
    load_backbone(network, save_torch(build_file(), tmp_path))
    assert all(torch.equal(network.state_dict()[name], tensor) for name, tensor in others.items())


@pytest.mark.parametrize("case", CASES)
def test_backbone_loads_when_the_file_is_older_than_batch_counters(case: str, tmp_path: Path) -> None:
    config, build_file, key, own_key = CASES[case]
    network = network_like(config)
    state = {name: tensor for name, tensor in build_file().items() if not name.endswith("num_batches_tracked")}
    load_backbone(network, save_torch(state, tmp_path))
    assert torch.equal(network.backbone.state_dict()[own_key], state[key])


def test_half_precision_file_is_widened(tmp_path: Path) -> None:
    network = network_like(PAPER_RESNET)
    state = {key: t.half() if t.is_floating_point() else t for key, t in deep_stem_resnet50().items()}
    load_backbone(network, save_safetensors(state, tmp_path))
    weight = network.backbone.state_dict()["stem.0.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state["conv1.weight"].float())


@pytest.mark.parametrize(
    ("config", "build_file", "message"),
    [
        (PAPER_RESNET, torchvision_resnet50, "holds torchvision ResNet-50 .* has resnet50 with deep stem"),
        (PAPER_PLAIN, deep_stem_resnet50, "holds deep-stem ResNet-50 .* has resnet50 with plain stem"),
        (PAPER_VGG, torchvision_resnet50, "holds torchvision ResNet-50 .* has vgg16_bn: give it torchvision vgg16_bn"),
        (PAPER_RESNET, vgg16_bn, "holds torchvision vgg16_bn, .* has resnet50 with deep stem"),
        (METAL, torchvision_resnet50, "No ImageNet file fits"),
    ],
)
def test_file_for_another_backbone_is_refused(
    config: NetworkConfig, build_file: Callable[[], StateDict], message: str, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match=message):
        load_backbone(network_like(config), save_torch(build_file(), tmp_path))


def without(part: str) -> StateDict:
    return {key: tensor for key, tensor in deep_stem_resnet50().items() if not key.startswith(part)}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (without("bn2.running_mean"), "missing stem.4.running_mean; surplus none"),
        (without("layer1.2"), "missing stage1.2.bn1.bias.* and 11 more"),
        (without("layer1"), "no known layout: its .* keys are bn1.bias"),
        (deep_stem_resnet50() | {"layer1.3.conv1.weight": torch.ones(1)}, "surplus stage1.3.conv1.weight"),
        (deep_stem_resnet50() | {"head.weight": torch.ones(1)}, "no known layout.* takes deep-stem ResNet-50"),
        (
            deep_stem_resnet50() | conv("conv2", 32, 64, 3),
            r"stem.3.weight \(64, 32, 3, 3\) instead of \(64, 64, 3, 3\)",
        ),
        ({}, "no known layout: its 0 keys are none"),
    ],
    ids=["statistic", "block", "stage", "surplus", "unknown", "shape", "empty"],
)
def test_incomplete_or_foreign_file_is_refused_by_name(state: StateDict, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        load_backbone(network_like(PAPER_RESNET), save_torch(state, tmp_path))


def test_refused_file_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    network = network_like(PAPER_RESNET)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(WeightsError):
        load_backbone(network, save_torch(without("layer1.2.bn3.bias"), tmp_path))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def write_text(path: Path) -> None:
    path.write_text("not weights at all")


def write_truncated(path: Path) -> None:
    torch.save(vgg16_bn(), path)
    path.write_bytes(path.read_bytes()[:-1000])


def write_pickled_object(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), path)


def write_tensor_alone(path: Path) -> None:
    torch.save(torch.ones(3), path)


def write_numbers(path: Path) -> None:
    torch.save({"conv1.weight": 1.0}, path)


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (lambda path: None, "absent.pth", "no weights file"),
        (lambda path: path.touch(), "empty.pth", "cannot be read as a torch file"),
        (write_text, "text.pth", "cannot be read as a torch file"),
        (write_text, "text.safetensors", "cannot be read as safetensors"),
        (write_truncated, "truncated.pth", "cannot be read as a torch file"),
        (write_pickled_object, "object.pth", "cannot be read as a torch file"),
        (write_tensor_alone, "tensor.pth", "holds Tensor, not a state dict"),
        (write_numbers, "numbers.pth", "holds dict, not a state dict"),
    ],
)
def test_file_that_is_no_state_dict_is_refused(
    write: Callable[[Path], None], name: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    write(path)
    with pytest.raises(WeightsError, match=message):
        load_backbone(network_like(PAPER_RESNET), path)
